"""The system calls that a child may use: an allow list, as a program for the kernel's filter (seccomp).

All others fail. `ENOSYS` is the answer for calls that are newer than Linux 5.1, because programs then fall back on
older ones, as glibc does for `clone3`; `EPERM` for the rest. The list has what the stages were seen to use (strace,
2026-11-29) and its equivalents in other versions of the C library. None of them reaches another process, starts a
program, or makes a socket; file names are left to `media.process.landlock`.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass

from media.errors import SandboxUnavailable

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2

# Numbers on x86_64 (arch/x86/entry/syscalls/syscall_64.tbl) and aarch64 (include/uapi/asm-generic/unistd.h); None: the
# architecture does not have the call.
Numbers = tuple[int, int | None]
ALLOWED: dict[str, Numbers] = {
    # Open files.
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287),
    "lseek": (8, 62), "close": (3, 57), "close_range": (436, 436), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "fsync": (74, 82), "fdatasync": (75, 83),
    "ftruncate": (77, 46), "fallocate": (285, 47), "fadvise64": (221, 223), "readahead": (187, 213),
    "sync_file_range": (277, 84), "sendfile": (40, 71), "copy_file_range": (326, 285),
    # Names of files. Not chmod, chown, utime and xattr, which Landlock does not check.
    "newfstatat": (262, 79), "stat": (4, None), "lstat": (6, None), "fstat": (5, 80), "statx": (332, 291),
    "statfs": (137, 43), "fstatfs": (138, 44), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17),
    "getdents64": (217, 61), "getdents": (78, None), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "umask": (95, 166),
    # Memory of this process.
    "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214), "msync": (26, 227),
    "mincore": (27, 232), "membarrier": (324, 283), "mbind": (237, 235),
    # Threads and their signals.
    "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99), "rseq": (334, 293),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "getcpu": (309, 168), "gettid": (186, 178), "set_tid_address": (218, 96), "arch_prctl": (158, None),
    "exit": (60, 93), "exit_group": (231, 94), "restart_syscall": (219, 128), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "pause": (34, None),
    # Time and waiting.
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "poll": (7, None), "ppoll": (271, 73),
    "select": (23, None), "pselect6": (270, 72), "epoll_create": (213, None), "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441),
    "eventfd": (284, None), "eventfd2": (290, 19),
    # Timers of this process; MediaPipe's own graph aborts without them.
    "alarm": (37, None), "getitimer": (36, 102), "setitimer": (38, 103), "timer_create": (222, 107),
    "timer_settime": (223, 110), "timer_gettime": (224, 108), "timer_getoverrun": (225, 109),
    "timer_delete": (226, 111),
    # Facts about this process and the machine.
    "getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "getgroups": (115, 158), "getresuid": (118, 148), "getresgid": (120, 150),
    "getpgid": (121, 155), "getpgrp": (111, None), "getsid": (124, 156), "getpriority": (140, 141),
    "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179), "uname": (63, 160), "capget": (125, 90),
    "getrandom": (318, 278),
}  # fmt: skip
# Allowed with some arguments only: `_conditions`.
CONDITIONAL: dict[str, Numbers] = {
    "mmap": (9, 222), "mprotect": (10, 226), "openat": (257, 56), "open": (2, None), "clone": (56, 220),
    "fcntl": (72, 25), "ioctl": (16, 29), "prctl": (157, 167), "prlimit64": (302, 261), "kill": (62, 129),
    "tgkill": (234, 131),
}  # fmt: skip
ARCHITECTURES = ("x86_64", "aarch64")
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
FIRST_NEW_CALL = 424  # from Linux 5.1 on all architectures number new calls alike; x86_64's x32 calls are above as well

PROT_WRITE_EXEC = 2 | 4
MAP_SHARED, MAP_ANONYMOUS, MAP_HUGETLB = 0x01, 0x20, 0x40000
O_ACCMODE, O_TRUNC = 0o3, 0o1000
CLONE_THREAD = 0x100 | 0x800 | 0x10000  # CLONE_VM, CLONE_SIGHAND, CLONE_THREAD
CLONE_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
F_DUPFD_CLOEXEC = 1030
TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, TCGETS2 = (
    0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x802C542A,
)  # fmt: skip
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_GET_TIMERSLACK, PR_GET_NO_NEW_PRIVS, the lengths of
# aarch64's vectors (PR_SVE_GET_VL, PR_SME_GET_VL), and PR_SET_VMA, which names memory.
PRCTL_OPTIONS = (3, 15, 16, 23, 30, 39, 51, 64, 0x53564D41)

BPF_LOAD, BPF_AND, BPF_JUMP, BPF_RETURN = 0x20, 0x54, 0x05, 0x06
BPF_JUMP_EQUAL, BPF_JUMP_AT_LEAST = 0x15, 0x35
OFFSET_CALL, OFFSET_ARCH, OFFSET_ARGUMENTS = 0, 4, 16  # struct seccomp_data
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
REFUSE, UNKNOWN = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
ALL_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Condition:
    """Some bits of an argument must have one of some values. The kernel reads these arguments as 32 bits."""

    argument: int  # from 0
    values: tuple[int, ...]
    mask: int = ALL_BITS
    high: bool = False  # the upper 32 bits instead


def _conditions(pid: int) -> dict[str, list[Condition]]:
    """Return what the arguments of the conditional calls must be, in the process with this id."""
    not_truncating_for_reading = (0, 1, 2, O_TRUNC | 1, O_TRUNC | 2)
    return {
        # No memory that is writable and executable; none that is not counted for this process (`media.process.memory`).
        "mmap": [
            Condition(2, (0, 2, 4), PROT_WRITE_EXEC),
            Condition(3, (0, MAP_SHARED, MAP_ANONYMOUS), MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB),
        ],
        "mprotect": [Condition(2, (0, 2, 4), PROT_WRITE_EXEC)],
        # Landlock before Linux 6.2 does not check truncation, which needs no descriptor for writing.
        "openat": [Condition(2, not_truncating_for_reading, O_ACCMODE | O_TRUNC)],
        "open": [Condition(1, not_truncating_for_reading, O_ACCMODE | O_TRUNC)],
        "clone": [Condition(0, (CLONE_THREAD,), CLONE_THREAD | CLONE_NAMESPACES)],
        # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL; not F_SETOWN, which makes the kernel send signals to others, and
        # no locks.
        "fcntl": [Condition(1, (0, 1, 2, 3, 4, F_DUPFD_CLOEXEC))],
        "ioctl": [Condition(1, (TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX))],
        "prctl": [Condition(0, PRCTL_OPTIONS)],
        "prlimit64": [Condition(0, (0, pid)), Condition(2, (0,)), Condition(2, (0,), high=True)],  # reads limits
        "kill": [Condition(0, (pid,))],
        "tgkill": [Condition(0, (pid,))],  # abort(3)
    }


def install(libc: ctypes.CDLL) -> None:
    """Install the filter in this process, which must have one thread and `PR_SET_NO_NEW_PRIVS`; cannot be undone.

    Raises:
        SandboxUnavailable: this machine does not support the filter.
    """
    reason = missing()
    if reason is not None:
        raise SandboxUnavailable(reason)
    code = program(platform.machine(), os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, padding, their address
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) != 0:
        raise SandboxUnavailable(f"prctl(PR_SET_SECCOMP) failed: {os.strerror(ctypes.get_errno())}")


def missing() -> str | None:
    """Return why this machine does not support the filter; None if it does."""
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in ARCHITECTURES:
        return f"the system-call filter does not support {sys.platform}/{machine}"
    # Fails in any case: no program is given. Without support it fails because of the mode.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, None, 0, 0)
    if ctypes.get_errno() != errno.EFAULT:
        return f"the kernel does not support system-call filters: {os.strerror(ctypes.get_errno())}"
    return None


def number(name: str, machine: str) -> int | None:
    """Return the number of a listed call; None if the architecture does not have it."""
    return (ALLOWED | CONDITIONAL)[name][ARCHITECTURES.index(machine)]


def program(machine: str, pid: int) -> bytes:
    """Assemble the filter: calls of other architectures kill, listed calls pass, the others fail."""
    conditions = _conditions(pid)
    code = [
        _instruction(BPF_LOAD, OFFSET_ARCH),
        _instruction(BPF_JUMP_EQUAL, AUDIT_ARCH[machine], if_true=1),
        _instruction(BPF_RETURN, KILL_PROCESS),
        _instruction(BPF_LOAD, OFFSET_CALL),
    ]
    for name in CONDITIONAL:
        called = number(name, machine)
        if called is not None:
            body = [step for condition in conditions[name] for step in _check(condition)]
            body.append(_instruction(BPF_RETURN, ALLOW))
            code += [_instruction(BPF_JUMP_EQUAL, called, if_false=len(body)), *body]
    allowed = [called for name in ALLOWED if (called := number(name, machine)) is not None]
    # Three instructions follow the comparisons before the one that allows.
    code += [_instruction(BPF_JUMP_EQUAL, called, if_true=len(allowed) - at + 2) for at, called in enumerate(allowed)]
    code += [
        _instruction(BPF_JUMP_AT_LEAST, FIRST_NEW_CALL, if_true=1),
        _instruction(BPF_RETURN, REFUSE),
        _instruction(BPF_RETURN, UNKNOWN),
        _instruction(BPF_RETURN, ALLOW),
    ]
    return b"".join(code)


def _check(condition: Condition) -> list[bytes]:
    """Return the steps that continue after themselves if the condition holds, and refuse the call if not."""
    steps = [_instruction(BPF_LOAD, OFFSET_ARGUMENTS + 8 * condition.argument + 4 * condition.high)]
    if condition.mask != ALL_BITS:
        steps.append(_instruction(BPF_AND, condition.mask))
    count = len(condition.values)
    steps += [_instruction(BPF_JUMP_EQUAL, value, if_true=count - at) for at, value in enumerate(condition.values)]
    return [*steps, _instruction(BPF_RETURN, REFUSE)]


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)  # struct sock_filter
