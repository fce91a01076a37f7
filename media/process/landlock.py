"""Landlock: the files that a child may open, as rules that the kernel keeps (landlock(7)).

Everything is denied but the source, the outputs, and what Python and the libraries read. Linux has it from 5.13 on, and
distributions may leave it out; the ABI version says what it can restrict. Paths can still be looked up: a child can
find out whether a file exists and how large it is.
"""

import contextlib
import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from media.errors import SandboxUnavailable

# The same numbers on all architectures.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION, RULE_PATH_BENEATH = 1, 1

# include/uapi/linux/landlock.h
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_FILE, MAKE_REG, TRUNCATE = 1 << 5, 1 << 8, 1 << 14
# All rights of the file system and the network, and the scopes of abstract sockets and signals, by the ABI that added
# them. The one of ABI 5 is the use of ioctl(2) on devices.
FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: TRUNCATE, 5: 1 << 15}
NETWORK_RIGHTS = {4: 0b11}
SCOPES = {6: 0b11}
RULESET_BYTES = {1: 8, 4: 16, 6: 24}

READ = READ_FILE | READ_DIR
WRITE = READ_FILE | WRITE_FILE | TRUNCATE
CREATE = READ | WRITE | MAKE_REG | REMOVE_FILE
OF_FILES = EXECUTE | WRITE | (1 << 15)  # the others are rights of directories

SYSTEM_PATHS = (
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime",
    "/etc/ssl/openssl.cnf", "/usr/share/zoneinfo", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo",
    "/proc/sys/crypto/fips_enabled", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu",
    "/sys/devices/system/node", "/sys/fs/cgroup",
)  # fmt: skip

MISSING = {
    errno.ENOSYS: "the kernel does not have it",
    errno.EOPNOTSUPP: "it is not enabled in this kernel",
    errno.EPERM: "the container does not allow its system calls",
}


@dataclass(frozen=True, slots=True)
class FileAccess:
    """The files that a child may open, beside those of Python and the libraries. What does not exist is left out."""

    read: Sequence[Path] = ()
    write: Sequence[Path] = ()  # existing files
    create: Sequence[Path] = ()  # directories in which files may be made, replaced and deleted


def abi() -> int:
    """Return the version of Landlock that this kernel has.

    Raises:
        OSError: it has none; `missing` says why.
    """
    version = _syscall(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
    if version < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return version


def missing() -> str | None:
    """Return why this machine has no Landlock; None if it has."""
    if not sys.platform.startswith("linux"):
        return "only Linux has it"
    try:
        abi()
    except OSError as error:
        return MISSING.get(error.errno or 0, error.strerror)
    return None


def restrict(access: FileAccess, scratch: int | None = None) -> None:
    """Restrict this thread and those that it starts; cannot be undone. Needs `PR_SET_NO_NEW_PRIVS`.

    Args:
        access: the files of the work.
        scratch: descriptor of a file without a name that may be opened again.

    Raises:
        OSError: there is no Landlock (`abi`).
        SandboxUnavailable: there is, but the rules were refused.
    """
    version = abi()
    rights = _sum(FILE_RIGHTS, version)
    fields = struct.pack("QQQ", rights, _sum(NETWORK_RIGHTS, version), _sum(SCOPES, version))
    size = max(size for since, size in RULESET_BYTES.items() if since <= version)
    ruleset = _syscall(CREATE_RULESET, ctypes.create_string_buffer(fields), size, 0)
    if ruleset < 0:
        raise SandboxUnavailable(f"landlock_create_ruleset failed: {os.strerror(ctypes.get_errno())}")
    try:
        for path, wanted in _rules(access):
            with (
                contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError),
                _opened(path) as descriptor,
            ):
                _allow(ruleset, descriptor, wanted & rights)
        if scratch is not None:
            _allow(ruleset, scratch, WRITE & rights)
        # Rules refer to inodes, and the kernel drops that of /proc/PID when it is not in use: it stays open.
        _allow(ruleset, os.open("/proc/self", os.O_PATH | os.O_CLOEXEC), READ & rights)
        if _syscall(RESTRICT_SELF, ruleset, 0) != 0:
            raise SandboxUnavailable(f"landlock_restrict_self failed: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


def _rules(access: FileAccess) -> Iterator[tuple[Path, int]]:
    yield Path(os.devnull), READ_FILE | WRITE_FILE
    for path in (*_library_paths(), *access.read):
        yield path, READ
    for path in access.write:
        yield path, WRITE
    for path in access.create:
        yield path, CREATE


def _library_paths() -> Iterator[Path]:
    """Yield where Python, its packages and the system's libraries are; not the directory of the project."""
    import media  # noqa: PLC0415 (its path; tests add to it)

    yield from map(Path, SYSTEM_PATHS)
    # Not the whole prefix: a virtual environment may be the project's own directory.
    yield from {Path(prefix, name) for prefix in (sys.prefix, sys.base_prefix) for name in ("lib", "lib64")}
    yield from map(Path, media.__path__)
    here = Path.cwd()
    for entry in map(Path, sys.path):
        if entry.is_absolute() and not here.is_relative_to(entry):
            yield entry


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _allow(ruleset: int, descriptor: int, rights: int) -> None:
    if not os.path.isdir(descriptor):  # noqa: PTH112 (a descriptor)
        rights &= OF_FILES
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor))  # packed
    if _syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0) != 0:
        raise SandboxUnavailable(f"landlock_add_rule failed: {os.strerror(ctypes.get_errno())}")


def _sum(by_abi: dict[int, int], version: int) -> int:
    return sum(bits for since, bits in by_abi.items() if since <= version)


def _syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return int(libc.syscall(ctypes.c_long(number), *words))
