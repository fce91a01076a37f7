"""The filter's decisions on both architectures, by an interpreter of its program: aarch64 is not at hand."""

import signal
import struct

import pytest

from media.process import syscall_filter
from media.process.syscall_filter import ALLOW, ARCHITECTURES, AUDIT_ARCH, KILL_PROCESS, REFUSE, UNKNOWN

PID = 4321
THREAD = 0x3D0F00  # what glibc's pthread_create(3) passes to clone(2)
DENIED = {  # numbers on x86_64 and aarch64
    "socket": (41, 198), "execve": (59, 221), "setsid": (112, 157), "ptrace": (101, 117), "fchmodat": (268, 53),
    "kcmp": (312, 272), "unshare": (272, 97), "mount": (165, 40), "bpf": (321, 280), "setns": (308, 268),
    "process_vm_readv": (310, 270), "memfd_create": (319, 279), "linkat": (265, 37), "symlinkat": (266, 36),
    "truncate": (76, 45), "flock": (73, 32), "tkill": (200, 130), "open_by_handle_at": (304, 265),
}  # fmt: skip


def decide(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """Return the filter's decision on a call: `ALLOW`, `REFUSE`, `UNKNOWN` or `KILL_PROCESS`."""
    code = syscall_filter.program(machine, PID)
    called = struct.pack(
        "IIQ6Q", number, AUDIT_ARCH[machine] if arch is None else arch, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6]
    )
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, value = struct.unpack_from("HBBI", code, 8 * at)
        at += 1
        match operation:
            case syscall_filter.BPF_LOAD:
                [accumulator] = struct.unpack_from("I", called, value)
            case syscall_filter.BPF_AND:
                accumulator &= value
            case syscall_filter.BPF_JUMP_EQUAL:
                at += if_true if accumulator == value else if_false
            case syscall_filter.BPF_JUMP_AT_LEAST:
                at += if_true if accumulator >= value else if_false
            case syscall_filter.BPF_RETURN:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest) -> str:
    """Return the name of an architecture."""
    return str(request.param)


def _conditional(machine: str, name: str, *arguments: int) -> int:
    number = syscall_filter.number(name, machine)
    assert number is not None
    return decide(machine, number, *arguments)


def test_every_listed_call_is_allowed(machine: str) -> None:
    numbers = {name: syscall_filter.number(name, machine) for name in syscall_filter.ALLOWED}
    assert {name: ALLOW for name, number in numbers.items() if number is not None} == {
        name: decide(machine, number) for name, number in numbers.items() if number is not None
    }


@pytest.mark.parametrize("name", DENIED)
def test_others_are_refused(machine: str, name: str) -> None:
    assert decide(machine, DENIED[name][ARCHITECTURES.index(machine)]) == REFUSE


@pytest.mark.parametrize("number", [424, 425, 434, 435, 437, 438, 440, 444, 462, 1000, 0x40000000, 0x40000001])
def test_newer_ones_do_not_exist(machine: str, number: int) -> None:
    """Among them clone3, pidfd_open, openat2 and x86_64's x32 calls."""
    assert decide(machine, number) == UNKNOWN


def test_calls_of_other_architectures_kill(machine: str) -> None:
    """Such as those of 32-bit programs, which have other numbers."""
    assert decide(machine, 0, arch=0x40000003) == KILL_PROCESS


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (THREAD,), ALLOW),
        ("clone", (signal.SIGCHLD,), REFUSE),
        ("clone", (0x4111,), REFUSE),  # vfork
        ("clone", (THREAD | 0x10000000,), REFUSE),  # a user namespace
        ("kill", (PID, signal.SIGABRT), ALLOW),
        ("kill", (PID + 1, signal.SIGKILL), REFUSE),
        ("kill", (0, signal.SIGKILL), REFUSE),
        ("kill", (0xFFFFFFFF, signal.SIGKILL), REFUSE),  # -1
        ("kill", ((1 << 32) + PID, signal.SIGABRT), ALLOW),  # the kernel looks at 32 bits as well
        ("tgkill", (PID, 5), ALLOW),
        ("tgkill", (PID + 1, 5), REFUSE),
        ("prlimit64", (0, 7, 0, 0x7FFF00000000), ALLOW),
        ("prlimit64", (PID, 7, 0), ALLOW),
        ("prlimit64", (PID + 1, 7, 0), REFUSE),
        ("prlimit64", (0, 7, 0x10000), REFUSE),
        ("prlimit64", (0, 7, 1 << 32), REFUSE),  # an address whose lower half is 0
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 5, 0x02), ALLOW),  # a library's code
        ("mmap", (0, 4096, 1, 0x01), ALLOW),  # a file, shared
        ("mmap", (0, 4096, 7, 0x22), REFUSE),
        ("mmap", (0, 4096, 3, 0x21), REFUSE),  # shared memory
        ("mmap", (0, 4096, 3, 0x40022), REFUSE),  # huge pages, which are not counted
        ("mprotect", (0, 4096, 5), ALLOW),
        ("mprotect", (0, 4096, 7), REFUSE),
        ("openat", (0, 0, 0o102 | 0o1000), ALLOW),
        ("openat", (0, 0, 0), ALLOW),
        ("openat", (0, 0, 0o1000), REFUSE),
        ("fcntl", (0, 2), ALLOW),
        ("fcntl", (0, 8), REFUSE),  # F_SETOWN
        ("fcntl", (0, 10), REFUSE),  # F_SETSIG
        ("fcntl", (0, 15), REFUSE),  # F_SETOWN_EX
        ("fcntl", (0, 6), REFUSE),  # F_SETLK
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), REFUSE),  # TIOCSTI
        ("ioctl", (0, 0x8901), REFUSE),  # FIOSETOWN
        ("prctl", (15,), ALLOW),
        ("prctl", (4, 1), REFUSE),  # PR_SET_DUMPABLE
        ("prctl", (35,), REFUSE),  # PR_SET_MM
    ],
)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    assert _conditional(machine, name, *arguments) == expected
