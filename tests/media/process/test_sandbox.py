"""The limits of the sandbox, tested inside a process that has entered it."""

import ctypes
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from media.process import landlock, sandbox, syscall_filter

PROJECT = Path(sandbox.__file__).resolve().parents[2]
REFUSED = "PermissionError 1"


def inside(code: str, limits: str = "", access: str = "") -> str:
    """Run code in a process that has entered the sandbox; return what it prints, or the error it meets."""
    frame = (
        "from pathlib import Path\nfrom media.process import sandbox\n"
        f"sandbox.enter(sandbox.Limits({limits}), sandbox.FileAccess({access}))\n"
        "try:\n" + "".join(f"    {line}\n" for line in code.splitlines()) + "except OSError as e:\n"
        "    print(type(e).__name__, e.errno)\nexcept MemoryError:\n    print('MemoryError')\n"
    )
    command = [sys.executable, "-c", frame]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or f"{done.returncode}: {done.stderr}"


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_no_socket_of_any_family_can_be_made(family: str, kind: str) -> None:
    assert inside(f"import socket\nsocket.socket(socket.{family}, socket.{kind})") == REFUSED


def test_no_name_is_resolved() -> None:
    assert inside("import socket\nprint(socket.getaddrinfo('localhost.localdomain', 80))").startswith("gaierror")


def test_no_program_can_be_started() -> None:
    assert inside("import subprocess\nsubprocess.run(['/bin/true'])") == REFUSED


def test_threads_are_shut_in_as_well() -> None:
    code = (
        "import socket, threading\n"
        "def go():\n"
        "    try:\n"
        "        socket.socket()\n"
        "    except OSError as e:\n"
        "        print(e.errno)\n"
        "t = threading.Thread(target=go)\n"
        "t.start()\n"
        "t.join()"
    )
    assert inside(code) == "1"


def test_no_privilege_can_be_gained() -> None:
    status = inside("print(open('/proc/self/status').read())")
    assert "NoNewPrivs:\t1" in status
    assert int(re.findall(r"CapPrm:\t(\w+)", status)[0], 16) & ~(1 << sandbox.CAP_DAC_OVERRIDE) == 0


def test_memory_is_bounded() -> None:
    assert inside("x = bytearray(300 << 20)\nprint(len(x))", "memory_bytes=100 << 20") == "MemoryError"


def test_a_file_cannot_grow_without_end(tmp_path: Path) -> None:
    code = f"f = open({str(tmp_path / 'big')!r}, 'wb')\nf.write(bytes(3 << 20))\nf.flush()"
    assert inside(code, "file_bytes=1 << 20", f"create=[Path({str(tmp_path)!r})]") == "OSError 27"


def test_no_core_is_dumped_and_files_are_counted() -> None:
    code = "import resource as r\nprint(r.getrlimit(r.RLIMIT_CORE), r.getrlimit(r.RLIMIT_NOFILE))"
    assert inside(code) == "(0, 0) (256, 256)"


def test_the_scratch_file_has_no_name_and_can_be_read_by_libraries() -> None:
    code = (
        "from media.process.files import scratch_file\n"
        "for text in ('a longer text', 'short'):\n"
        "    with scratch_file(text) as path:\n"
        "        print(open(path).read())"
    )
    assert inside(code) == "a longer text\nshort"


def test_an_unknown_processor_gets_no_work_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(sandbox.SandboxUnavailable, match="riscv64"):
        syscall_filter.install(ctypes.CDLL(None))


def _kernel_numbers(header: str) -> dict[str, int]:
    path = Path("/usr/include", header)
    if not path.exists():
        pytest.skip(f"the kernel's headers are missing: {path}")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text(), re.M)
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")],
)
def test_the_numbers_of_calls_are_the_kernels(machine: str, header: str) -> None:
    kernel = _kernel_numbers(header)
    kernel.setdefault("newfstatat", kernel.get("fstatat", -1))
    for name in syscall_filter.ALLOWED | syscall_filter.CONDITIONAL:
        assert syscall_filter.number(name, machine) == kernel.get(name), name


@pytest.mark.parametrize("machine", syscall_filter.ARCHITECTURES)
def test_every_jump_of_the_filter_stays_inside_it(machine: str) -> None:
    code = syscall_filter.program(machine, 1)
    length = len(code) // 8
    for at in range(length):
        instruction = code[8 * at : 8 * at + 8]
        assert at + 1 + max(instruction[2], instruction[3]) <= length - 1 or instruction[0] == 0x06


def test_a_missing_landlock_is_reported_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "CREATE_RULESET", 10_000)  # a call that no kernel has
    found = sandbox.report()
    assert (found["ok"], found["landlock"]) == (True, None)
    assert found["detail"].startswith("no Landlock: the kernel does not have it. ")


def test_a_machine_without_a_filter_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscall_filter, "SECCOMP_MODE_FILTER", 9)
    assert not sandbox.report()["ok"]
    assert "no video can be processed" in sandbox.report()["detail"]


def test_nothing_is_missing_here() -> None:
    assert syscall_filter.missing() is None


def test_work_goes_on_without_landlock() -> None:
    code = (
        "from pathlib import Path\nfrom media.process import landlock, sandbox\nlandlock.CREATE_RULESET = 10_000\n"
        "sandbox.enter(sandbox.Limits(), sandbox.FileAccess())\nprint(open('/etc/passwd').read(4))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("root\n", "")
