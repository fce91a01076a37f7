"""The restrictions of the sandbox, tested inside a child."""

import ctypes
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from media.process import sandbox

PROJECT = Path(sandbox.__file__).resolve().parents[2]
REFUSED = "PermissionError 13"


def inside(code: str, limits: str = "") -> str:
    """Run code in a process that has entered the sandbox; return what it prints, or the error it meets."""
    frame = (
        f"from media.process import sandbox\nsandbox.enter(sandbox.Limits({limits}))\n"
        "try:\n" + "".join(f"    {line}\n" for line in code.splitlines()) + "except OSError as e:\n"
        "    print(type(e).__name__, e.errno)\nexcept MemoryError:\n    print('MemoryError')\n"
    )
    command = [sys.executable, "-c", frame]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or f"{done.returncode}: {done.stderr}"


@pytest.fixture
def server() -> Iterator[int]:
    """Serve HTTP on a loopback port."""
    http = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield http.server_address[1]
    http.shutdown()
    thread.join()
    http.server_close()


def test_no_connection_can_be_opened(server: int) -> None:
    assert inside(f"import socket\nsocket.create_connection(('127.0.0.1', {server}), 2)") == REFUSED


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_no_socket_of_any_family_can_be_made(family: str, kind: str) -> None:
    assert inside(f"import socket\nsocket.socket(socket.{family}, socket.{kind})") == REFUSED


def test_no_name_is_resolved() -> None:
    assert inside("import socket\nprint(socket.getaddrinfo('localhost.localdomain', 80))").startswith("gaierror")


def test_what_the_child_starts_is_shut_in_as_well(server: int) -> None:
    other = f'import socket; socket.create_connection(("127.0.0.1", {server}), 2)'
    code = (
        "import subprocess, sys\n"
        f"done = subprocess.run([sys.executable, '-c', {other!r}], capture_output=True, text=True)\n"
        "print(done.stderr.splitlines()[-1])"
    )
    assert inside(code).startswith("PermissionError")


def test_threads_are_shut_in_as_well(server: int) -> None:
    code = (
        "import socket, threading\n"
        "def go():\n"
        "    try:\n"
        f"        socket.create_connection(('127.0.0.1', {server}), 2)\n"
        "    except OSError as e:\n"
        "        print(e.errno)\n"
        "t = threading.Thread(target=go)\n"
        "t.start()\n"
        "t.join()"
    )
    assert inside(code) == "13"


@pytest.mark.parametrize("call", ["ptrace", "process_vm_readv", "io_uring_setup", "bpf", "pidfd_getfd"])
def test_other_processes_and_kernel_interfaces_are_out_of_reach(call: str) -> None:
    number = sandbox.DENIED_SYSCALLS[platform.machine()][call]
    code = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.syscall({number}, 0, 0, 0, 0, 0, 0), ctypes.get_errno())"
    )
    assert inside(code) == "-1 13"


def test_no_privilege_can_be_gained() -> None:
    assert "NoNewPrivs:\t1" in inside("print(open('/proc/self/status').read())")


def test_ffmpeg_and_pipes_still_work() -> None:
    code = (
        "import imageio_ffmpeg, subprocess\n"
        "print(subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), '-version'], capture_output=True).stdout[:6].decode())"
    )
    assert inside(code) == "ffmpeg"


def test_memory_is_bounded() -> None:
    assert inside("x = bytearray(300 << 20)\nprint(len(x))", "memory_bytes=100 << 20") == "MemoryError"


def test_a_file_cannot_grow_without_end(tmp_path: Path) -> None:
    code = f"f = open({str(tmp_path / 'big')!r}, 'wb')\nf.write(bytes(3 << 20))\nf.flush()"
    assert inside(code, "file_bytes=1 << 20") == "OSError 27"


def test_no_core_is_dumped_and_files_are_counted() -> None:
    code = "import resource as r\nprint(r.getrlimit(r.RLIMIT_CORE), r.getrlimit(r.RLIMIT_NOFILE))"
    assert inside(code) == "(0, 0) (256, 256)"


def test_an_unknown_processor_gets_no_work_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(sandbox.SandboxUnavailable, match="riscv64"):
        sandbox._filter_syscalls(ctypes.CDLL(None))
