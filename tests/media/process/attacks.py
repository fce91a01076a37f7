"""Attacks by code that has taken over a decoder. They run inside a real media child, as the work of a stage.

Each function of `ATTACKS` returns if it succeeded, and raises OSError if the system refused it. Standard library only.
"""

import argparse
import contextlib
import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import sqlite3
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
parent = os.getppid()
ATTACKS: dict[str, Callable[[Path, Path], object]] = {}
SYSCALLS = {  # x86_64
    "fork": 57, "vfork": 58, "kcmp": 312, "pidfd_open": 434, "pidfd_send_signal": 424, "pidfd_getfd": 438,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "process_madvise": 440, "unshare": 272,
    "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "bpf": 321, "userfaultfd": 323,
    "io_uring_setup": 425, "keyctl": 250, "add_key": 248, "request_key": 249, "perf_event_open": 298,
    "open_by_handle_at": 304, "name_to_handle_at": 303, "personality": 135, "seccomp": 317, "inotify_init1": 294,
    "fanotify_init": 300, "shmget": 29, "msgget": 68, "semget": 64, "mq_open": 240, "memfd_create": 319,
    "memfd_secret": 447, "execveat": 322, "setsid": 112, "tkill": 200, "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297, "get_robust_list": 274, "sched_setaffinity": 203, "sched_setscheduler": 144,
    "setpriority": 141, "ioprio_set": 251, "quotactl": 179, "modify_ldt": 154, "iopl": 172,
    "splice": 275, "vmsplice": 278, "clone3": 435, "openat2": 437, "move_pages": 279, "migrate_pages": 256,
    "acct": 163, "swapon": 167, "init_module": 175, "kexec_load": 246, "syslog": 103, "reboot": 169,
}  # fmt: skip


def attack(function: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
    """Register an attack: called with the data directory and with the file that the child may write."""
    ATTACKS[function.__name__] = function
    return function


def syscall(name_or_number: str | int, *arguments: int | bytes | None) -> int:
    """Make a system call; raise OSError if it fails."""
    number = SYSCALLS[name_or_number] if isinstance(name_or_number, str) else name_or_number
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    done = int(libc.syscall(ctypes.c_long(number), *words))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def work(options: argparse.Namespace, progress: Callable[[float], None]) -> dict[str, Any]:
    """Try everything; return by attack why it was refused, or None if it succeeded."""
    found: dict[str, str | None] = {}
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for name, function in _all():
        try:
            function(options.data, options.out)
        except (OSError, sqlite3.OperationalError) as refused:
            found[name] = f"{type(refused).__name__}: {refused}"
        else:
            found[name] = None
            with contextlib.suppress(OSError):  # where it may do that, the next attack finds the file again
                options.out.parent.mkdir(exist_ok=True)
                options.out.touch()
    options.out.write_bytes(options.source.read_bytes())  # what it is there for still works
    return {"attacks": found, "environ": dict(os.environ), "uid": os.getuid(), "pid": os.getpid()}


def _all() -> Iterator[tuple[str, Callable[[Path, Path], object]]]:
    yield from ATTACKS.items()
    if os.uname().machine == "x86_64":
        for name in SYSCALLS:
            yield f"syscall {name}", _calling(syscall, name, parent, 0, 0, 0, 0, 0)
        for number in (0x40000000 + 57, 0x40000000 + 41):
            yield f"x32 {number}", _calling(syscall, number, 1, 1, 0)
    for name in ("environ", "mem", "maps", "fd", "cwd", "root", "task", "cmdline", "status", "exe"):
        yield f"parent's {name}", _calling(_look, Path("/proc", str(parent), name))
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL, 0):
        yield f"signal {number}", _calling(os.kill, parent, number)
    for target in (0, -1, -parent):
        yield f"signal to group {target}", _calling(os.kill, target, 0)


def _calling(function: Callable[..., object], *arguments: Any) -> Callable[[Path, Path], object]:
    return lambda _data, _out: function(*arguments)


def _port(data: Path) -> int:
    return int(data.name.rpartition("-")[2])  # of the test's server, which the child cannot look up in a file


def _look(path: Path) -> None:
    if path.is_dir():
        list(path.iterdir())
    else:
        path.read_bytes()


@attack
def read_database(data: Path, out: Path) -> None:
    (data / "vidprod.sqlite3").read_bytes()


@attack
def write_database(data: Path, out: Path) -> None:
    with sqlite3.connect(data / "vidprod.sqlite3") as connection:
        connection.execute("CREATE TABLE attacked (x)")


@attack
def read_another_upload(data: Path, out: Path) -> None:
    (data / "uploads/other/source.mp4").read_bytes()


@attack
def read_secret_key(data: Path, out: Path) -> None:
    (data / "secret.key").read_bytes()


@attack
def read_passwords(data: Path, out: Path) -> None:
    Path("/etc/passwd").read_bytes()


@attack
def list_the_project(data: Path, out: Path) -> None:
    list(Path.cwd().iterdir())


@attack
def list_data(data: Path, out: Path) -> None:
    list(data.iterdir())


@attack
def overwrite_part_of_another_job(data: Path, out: Path) -> None:
    (data / "jobs/other/part-001.mp4").write_bytes(b"attacked")


@attack
def overwrite_other_part_of_this_job(data: Path, out: Path) -> None:
    (out.parent.parent / "part-001.mp4").write_bytes(b"attacked")


@attack
def add_file_to_another_job(data: Path, out: Path) -> None:
    (data / "jobs/other/part-002.mp4").write_bytes(b"attacked")


@attack
def delete_part_of_another_job(data: Path, out: Path) -> None:
    (data / "jobs/other/part-001.mp4").unlink()


@attack
def move_part_of_another_job(data: Path, out: Path) -> None:
    (data / "jobs/other/part-001.mp4").rename(out)


@attack
def truncate_part_of_another_job(data: Path, out: Path) -> None:
    os.truncate(data / "jobs/other/part-001.mp4", 0)


@attack
def truncate_by_opening_for_reading(data: Path, out: Path) -> None:
    os.open(data / "jobs/other/part-001.mp4", os.O_RDONLY | os.O_TRUNC)


@attack
def change_the_source(data: Path, out: Path) -> None:
    (data / "uploads/own/source.mp4").write_bytes(b"attacked")


@attack
def change_mode_of_database(data: Path, out: Path) -> None:
    (data / "vidprod.sqlite3").chmod(0o666)


@attack
def change_times_of_database(data: Path, out: Path) -> None:
    os.utime(data / "vidprod.sqlite3")


@attack
def change_owner_of_database(data: Path, out: Path) -> None:
    os.chown(data / "vidprod.sqlite3", os.getuid(), os.getgid())


@attack
def set_attribute_of_database(data: Path, out: Path) -> None:
    os.setxattr(data / "vidprod.sqlite3", "user.attacked", b"1")


@attack
def make_directory_in_another_job(data: Path, out: Path) -> None:
    (data / "jobs/other/directory").mkdir()


@attack
def lock_database(data: Path, out: Path) -> None:
    fcntl.flock(os.open(data / "vidprod.sqlite3", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


@attack
def lock_source(data: Path, out: Path) -> None:
    fcntl.flock(os.open(data / "uploads/own/source.mp4", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


@attack
def take_a_lease_of_source(data: Path, out: Path) -> None:
    fcntl.fcntl(os.open(data / "uploads/own/source.mp4", os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)


@attack
def link_another_upload_into_the_output(data: Path, out: Path) -> None:
    (out.parent / "linked").hardlink_to(data / "uploads/other/source.mp4")


@attack
def symlink_beside_the_output(data: Path, out: Path) -> None:
    (out.parent / "link").symlink_to(data / "vidprod.sqlite3")


@attack
def replace_the_output_by_a_symlink(data: Path, out: Path) -> None:
    out.unlink()
    out.symlink_to(data / "vidprod.sqlite3")


@attack
def rename_the_output(data: Path, out: Path) -> None:
    out.rename(out.with_name("renamed"))


@attack
def remove_the_attempt_directory(data: Path, out: Path) -> None:
    out.parent.rmdir()


@attack
def make_ten_thousand_files(data: Path, out: Path) -> None:
    for number in range(10_000):
        (out.parent / str(number)).touch()


@attack
def make_file_without_a_name(data: Path, out: Path) -> None:
    os.open(out.parent, os.O_TMPFILE | os.O_RDWR)


@attack
def make_file_in_tmp(data: Path, out: Path) -> None:
    Path("/tmp/attacked").touch()


@attack
def make_file_in_shared_memory(data: Path, out: Path) -> None:
    Path("/dev/shm/attacked").touch()


@attack
def make_giant_sparse_file(data: Path, out: Path) -> None:
    with out.open("r+b") as file:
        file.truncate(1 << 40)


@attack
def write_far_behind_the_end(data: Path, out: Path) -> None:
    with out.open("r+b", buffering=0) as file:
        file.seek(1 << 40)
        file.write(b"x")


@attack
def save_itself_from_the_out_of_memory_killer(data: Path, out: Path) -> None:
    Path("/proc/self/oom_score_adj").write_text("-1000")


@attack
def fork(data: Path, out: Path) -> None:
    if os.fork() == 0:
        os._exit(0)


@attack
def fork_a_grandchild_in_a_session_of_its_own(data: Path, out: Path) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.pause()
        os._exit(0)


@attack
def clone_a_process(data: Path, out: Path) -> None:
    if syscall(56 if os.uname().machine == "x86_64" else 220, signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


@attack
def clone_into_namespaces(data: Path, out: Path) -> None:
    if syscall(56 if os.uname().machine == "x86_64" else 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


@attack
def start_a_program(data: Path, out: Path) -> None:
    subprocess.run(["/bin/true"], check=True)


@attack
def spawn_a_program(data: Path, out: Path) -> None:
    os.posix_spawn("/bin/true", ["true"], {})


@attack
def become_a_program(data: Path, out: Path) -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606


@attack
def run_a_program_from_memory(data: Path, out: Path) -> None:
    program = os.memfd_create("program")
    os.write(program, Path("/usr/lib/ld-linux.so").read_bytes())
    os.execve(program, ["program"], {})  # noqa: S606


@attack
def begin_a_session(data: Path, out: Path) -> None:
    os.setsid()


@attack
def join_the_group_of_the_parent(data: Path, out: Path) -> None:
    os.setpgid(0, os.getpgid(parent))


@attack
def signal_a_thread_of_the_parent(data: Path, out: Path) -> None:
    syscall(234 if os.uname().machine == "x86_64" else 131, parent, parent, signal.SIGTERM)


@attack
def let_the_kernel_signal_the_parent(data: Path, out: Path) -> None:
    """When something is written into a pipe."""
    reading, _ = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, parent)


@attack
def set_the_signal_of_a_descriptor(data: Path, out: Path) -> None:
    reading, _ = os.pipe()
    fcntl.fcntl(reading, 10, signal.SIGKILL)  # F_SETSIG


@attack
def make_a_pipe_of_a_megabyte(data: Path, out: Path) -> None:
    """Their content is counted for no process."""
    reading, _ = os.pipe()
    fcntl.fcntl(reading, 1031, 1 << 20)  # F_SETPIPE_SZ


@attack
def limit_the_parent(data: Path, out: Path) -> None:
    resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, 3))


@attack
def read_limits_of_the_parent(data: Path, out: Path) -> None:
    resource.prlimit(parent, resource.RLIMIT_NOFILE)


@attack
def raise_its_own_limits(data: Path, out: Path) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as refused:  # Python's name for EPERM
        raise PermissionError(str(refused)) from refused


@attack
def bind_the_parent_to_a_processor(data: Path, out: Path) -> None:
    os.sched_setaffinity(parent, {0})


@attack
def slow_the_parent_down(data: Path, out: Path) -> None:
    os.setpriority(os.PRIO_PROCESS, parent, 19)


@attack
def enter_a_user_namespace(data: Path, out: Path) -> None:
    if libc.unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


@attack
def enter_a_namespace_of_the_parent(data: Path, out: Path) -> None:
    if libc.setns(os.open(f"/proc/{parent}/ns/user", os.O_RDONLY), 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@attack
def connect_to_loopback(data: Path, out: Path) -> None:
    with socket.create_connection(("127.0.0.1", _port(data)), 2):
        pass


@attack
def make_an_abstract_socket(data: Path, out: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("\0attacked")


@attack
def make_a_pair_of_sockets(data: Path, out: Path) -> None:
    socket.socketpair()


@attack
def attach_a_debugger(data: Path, out: Path) -> None:
    if libc.ptrace(16, parent, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")


@attack
def let_itself_be_debugged(data: Path, out: Path) -> None:
    if libc.prctl(4, 1, 0, 0, 0) != 0:  # PR_SET_DUMPABLE
        raise OSError(ctypes.get_errno(), "prctl")


@attack
def adopt_orphans(data: Path, out: Path) -> None:
    if libc.prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
        raise OSError(ctypes.get_errno(), "prctl")


@attack
def type_into_the_terminal(data: Path, out: Path) -> None:
    fcntl.ioctl(0, termios.TIOCSTI, b"x")


@attack
def map_writable_code(data: Path, out: Path) -> None:
    mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


@attack
def map_memory_that_nobody_counts(data: Path, out: Path) -> None:
    """Shared memory stays after its pages were given back."""
    mmap.mmap(-1, 4096)


@attack
def name_the_parents_file_by_descriptor(data: Path, out: Path) -> None:
    os.open(f"/proc/{parent}/fd/0", os.O_RDONLY)


@attack
def use_a_device(data: Path, out: Path) -> None:
    os.open("/dev/zero", os.O_RDWR)


@attack
def get_the_capability_to_do_anything(data: Path, out: Path) -> None:
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    if libc.capset(header, struct.pack("6I", *[0xFFFFFFFF] * 6)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


@attack
def attack_from_a_thread(data: Path, out: Path) -> None:
    """A thread that began after the sandbox was entered has no more rights."""
    found: list[BaseException] = []

    def read() -> None:
        try:
            (data / "secret.key").read_bytes()
        except OSError as refused:
            found.append(refused)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    if found:
        raise found[0]
