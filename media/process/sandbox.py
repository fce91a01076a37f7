"""Sandbox of a child process: system-call filter and resource limits, entered before an upload is read.

The child enters it at its start, while it has one thread: no network (a system-call filter, which needs no privilege,
and an empty network namespace where that is allowed), no access to other processes, no core dumps, limits on CPU time,
file size, open files and memory, and the highest score for the kernel's out-of-memory killer. Linux only. Without the
filter no work is done. File permissions are not changed.
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
SECCOMP_MODE_FILTER = 2
CLONE_NEWIPC, CLONE_NEWNET = 0x08000000, 0x40000000

# Numbers from the kernel's system-call tables (x86: arch/x86/entry/syscalls/syscall_64.tbl, others:
# include/uapi/asm-generic/unistd.h).
# `socket` is needed for every connection; io_uring could open one without the filter; the others give access to other
# processes of the same user or to the kernel.
DENIED_SYSCALLS = {
    "x86_64": {
        "socket": 41, "ptrace": 101, "mount": 165, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
        "perf_event_open": 298, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321,
        "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_getfd": 438,
    },
    "aarch64": {
        "mount": 40, "unshare": 97, "ptrace": 117, "socket": 198, "add_key": 217, "request_key": 218, "keyctl": 219,
        "perf_event_open": 241, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280,
        "userfaultfd": 282, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_getfd": 438,
    },
}  # fmt: skip
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_BIT = 0x40000000  # x86_64's second table of the same calls; all of it is denied

BPF_LOAD, BPF_JUMP_EQUAL, BPF_JUMP_AT_LEAST, BPF_RETURN = 0x20, 0x15, 0x35, 0x06
OFFSET_CALL, OFFSET_ARCH = 0, 4  # struct seccomp_data
ALLOW, KILL_PROCESS, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EACCES


class SandboxUnavailable(Exception):
    """The sandbox cannot be entered, so the work must not be done."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The resource limits of a child; None leaves a limit unchanged."""

    memory_bytes: int | None = None
    cpu_s: int | None = None
    file_bytes: int = 512 << 20
    open_files: int = 256


def enter(limits: Limits) -> None:
    """Enter the sandbox with this process and all that it starts; cannot be undone.

    Raises:
        SandboxUnavailable: the system-call filter is not supported on this machine.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _limit_resources(limits)
    _raise_oom_score()
    # Needs root; an empty network namespace is a second barrier behind the filter, so a failure is ignored.
    libc.unshare(CLONE_NEWNET | CLONE_NEWIPC)
    _filter_syscalls(libc)


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
            resource.setrlimit(kind, (wanted, wanted))


def _raise_oom_score() -> None:
    # Raising it needs no privilege. If /proc is not writable, the parent still enforces its memory limit.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _filter_syscalls(libc: ctypes.CDLL) -> None:
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in DENIED_SYSCALLS:
        raise SandboxUnavailable(f"the system-call filter does not support {sys.platform}/{machine}")
    program = _filter_program(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, padding, their address
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise SandboxUnavailable(f"prctl(PR_SET_NO_NEW_PRIVS) failed: {os.strerror(ctypes.get_errno())}")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header), 0, 0) != 0:
        raise SandboxUnavailable(f"prctl(PR_SET_SECCOMP) failed: {os.strerror(ctypes.get_errno())}")


def _filter_program(machine: str) -> bytes:
    """Assemble the BPF program: calls of other architectures kill, the listed ones fail with EACCES."""
    denied = sorted(DENIED_SYSCALLS[machine].values())
    checks = [(BPF_JUMP_EQUAL, number) for number in denied]
    if machine == "x86_64":
        checks.append((BPF_JUMP_AT_LEAST, X32_BIT))
    code = [
        _instruction(BPF_LOAD, OFFSET_ARCH),
        _instruction(BPF_JUMP_EQUAL, AUDIT_ARCH[machine], if_true=1),
        _instruction(BPF_RETURN, KILL_PROCESS),
        _instruction(BPF_LOAD, OFFSET_CALL),
    ]
    code += [_instruction(jump, value, if_true=len(checks) - at) for at, (jump, value) in enumerate(checks)]
    code += [_instruction(BPF_RETURN, ALLOW), _instruction(BPF_RETURN, REFUSE)]
    return b"".join(code)


def _instruction(code: int, value: int, *, if_true: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, 0, value)  # struct sock_filter
