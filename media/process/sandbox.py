"""Sandbox of a child process, entered before an upload is read. What it promises is in SECURITY.md.

The child enters it at its start, while it has one thread:

- an allow list of system calls: no network, no other processes, no programs (`media.process.syscall_filter`);
- the files that it may open (`media.process.landlock`), where the kernel offers that; `report` says whether it does;
- limits on CPU time, file size, open files and memory; no capabilities, no core dumps, no inspection by others;
- the highest score for the kernel's out-of-memory killer.

Linux only. Without the system-call filter no work is done.
"""

import contextlib
import ctypes
import os
import resource
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.errors import SandboxUnavailable
from media.process import files, landlock, syscall_filter
from media.process.landlock import FileAccess

__all__ = ["FileAccess", "Limits", "SandboxUnavailable", "enter", "report"]

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
CLONE_NEWIPC, CLONE_NEWNET = 0x08000000, 0x40000000
CAPABILITY_VERSION = 0x20080522  # linux/capability.h: two sets of 32 capabilities
CAP_DAC_OVERRIDE = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """The resource limits of a child; None leaves a limit unchanged."""

    memory_bytes: int | None = None
    cpu_s: int | None = None
    file_bytes: int = 512 << 20
    open_files: int = 256


def enter(limits: Limits, access: FileAccess) -> None:
    """Enter the sandbox with this process and all its threads; cannot be undone.

    Raises:
        SandboxUnavailable: the system-call filter is not supported on this machine.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _raise_oom_score()
    _limit_resources(limits)
    # Needs root; an empty network namespace is a second barrier behind the filter, so a failure is ignored.
    libc.unshare(CLONE_NEWNET | CLONE_NEWIPC)
    _drop_capabilities(libc)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise SandboxUnavailable(f"prctl(PR_SET_NO_NEW_PRIVS) failed: {os.strerror(ctypes.get_errno())}")
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # other children of this user must not read or change this one
    files.open_scratch_file()
    if landlock.missing() is None:  # the parent logs it if it is missing
        landlock.restrict(access, files.scratch_descriptor())
    syscall_filter.install(libc)


def report() -> dict[str, Any]:  # Any: JSON
    """Return what this machine offers for the sandbox.

    Returns:
        ok: False if no media work can be done, because there is no system-call filter.
        landlock: its version; None if there is none.
        detail: what is missing and why; only if something is.
    """
    filter_missing, landlock_missing = syscall_filter.missing(), landlock.missing()
    found: dict[str, Any] = {"ok": filter_missing is None, "landlock": None if landlock_missing else landlock.abi()}
    if filter_missing is not None:
        found["detail"] = f"no video can be processed: {filter_missing}"
    elif landlock_missing is not None:
        found["detail"] = (
            f"no Landlock: {landlock_missing}. A decoder that a video has taken over could open all files of VidProd"
        )
    return found


def _limit_resources(limits: Limits) -> None:
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CPU: limits.cpu_s,
        # Measured 2026-11-22 with mediapipe, cv2, av and moviepy loaded and one face found, BLAS held to one thread:
        # 150 MB resident, 143 MB data, 622 MB address space. So the address space is no measure; the data segment
        # (private writable memory with reserved thread stacks) is a rough one. The parent measures resident memory.
        resource.RLIMIT_DATA: limits.memory_bytes,
    }
    for kind, bound in bounds.items():
        if bound is not None:
            hard = resource.getrlimit(kind)[1]
            wanted = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            # With equal limits the kernel sends SIGKILL, which looks like a lack of memory, instead of SIGXCPU.
            after = kind == resource.RLIMIT_CPU and (hard == resource.RLIM_INFINITY or wanted < hard)
            resource.setrlimit(kind, (wanted, wanted + after))


def _raise_oom_score() -> None:
    # Raising it needs no privilege. If /proc is not writable, the parent still enforces its memory limit.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop all of root's capabilities but the one to open files of others, which Landlock restricts.

    A child of a parent that runs as root would otherwise fail where the data directory belongs to somebody else.
    Without the others it cannot inspect the parent.
    """
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION, 0))
    sets = ctypes.create_string_buffer(24)  # twice: effective, permitted, inheritable
    libc.capget(header, sets)
    kept = struct.unpack_from("I", sets.raw, 4)[0] & (1 << CAP_DAC_OVERRIDE) if os.geteuid() == 0 else 0
    if libc.capset(header, struct.pack("6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise SandboxUnavailable(f"capset failed: {os.strerror(ctypes.get_errno())}")
