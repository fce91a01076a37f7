"""Services are forks of a process that has their code loaded, and share its memory; nothing else goes over the fork."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.machine.child import ROOT
from scripts.machine.service_process import UNKNOWN_CODE, ForkServer, ServiceProcess
from scripts.machine.watchdog import ENDED, state_of
from tests.support.waiting import wait_for

COPIED_KIB = 1024
# What builds the machine of one process, and what sends or runs its messages: small modules, all our own.
AFTER_THE_FORK = {
    "actors.back_up",
    "actors.delete_files",
    "actors.dispatch_webhook",
    "actors.gaze",
    "actors.publish",
    "actors.refresh_token",
    "actors.send_notices",
    "actors.split",
    "actors.start_publications",
    "actors.ticks",
    "actors.wiring",
    "actors.worker",
    "api.__main__",
    "liveness",
    "process_protection",
    "scripts.machine.media_worker",
    "scripts.machine.network_worker",
    "scripts.machine.relay",
    "scripts.machine.scheduler",
    "scripts.machine.work_queue",
    "scripts.machine.worker_process",
}


def _run(code: str, tmp_path: Path) -> str:
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "SECRET_KEY": "a secret of this test"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def test_nothing_is_open_and_no_thread_runs_after_preloading(tmp_path: Path) -> None:
    """SQLite forbids connections across forks, and locks of other threads would stay locked in a fork."""
    code = """
import os, sys
from scripts.machine import preload
before = set(os.listdir("/proc/self/fd"))
preload.load()
opened = set(os.listdir("/proc/self/fd")) - before
print(sorted(opened), len(os.listdir("/proc/self/task")), "actors.wiring" in sys.modules)
"""
    assert _run(code, tmp_path) == "[] 1 False"
    assert list(tmp_path.iterdir()) == []


def test_services_import_only_small_modules_of_their_own_after_the_fork(tmp_path: Path) -> None:
    """A module that is missing in the list is loaded by each of them again, with up to tens of megabytes."""
    code = """
import sys
from scripts.machine import preload
preload.load()
before = set(sys.modules)
import api.__main__, actors.worker
import scripts.machine.media_worker, scripts.machine.network_worker
print(*sorted(set(sys.modules) - before))
"""
    assert set(_run(code, tmp_path).split()) - AFTER_THE_FORK == set()


def test_a_garbage_collection_copies_no_shared_memory_into_a_fork(tmp_path: Path) -> None:
    """It writes to every object that it looks at: without freezing, to most of the 50 MB that the forks share."""
    code = """
import gc, os
from scripts.machine import preload
def private_kib():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))
preload.load()
if os.fork() == 0:
    before = private_kib()
    gc.collect()
    print(private_kib() - before, flush=True)
    os._exit(0)
os.wait()
"""
    assert int(_run(code, tmp_path)) < COPIED_KIB


class Starter:
    """Starts services on a fork server of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self._environ = {"PATH": os.environ["PATH"], "SECRET_KEY": "a secret of this test"}
        self.server = ForkServer(self._environ)
        self._tmp_path = tmp_path
        self.parent_pipe, self._parent_pipe_end = os.pipe()
        self._liveness, self.liveness_pipe = os.pipe()
        self._started: list[ServiceProcess] = []

    def start(self) -> ServiceProcess:
        """Start a service that waits."""
        marker = self._tmp_path / "stopped"
        marker.touch()  # it does not stop itself
        process = self.server.start(
            ["tests.support.deaf_service", str(marker)],
            self._environ,
            output=None,
            parent_pipe=self.parent_pipe,
            liveness_pipe=self.liveness_pipe,
            liveness_interval_s=1.0,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill everything."""
        for process in self._started:
            process.kill()
        self.server.close()
        for descriptor in (self.parent_pipe, self._parent_pipe_end, self._liveness, self.liveness_pipe):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    made = Starter(tmp_path)
    yield made
    made.close()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _has_ended(pid: int) -> Callable[[], bool]:
    return lambda: state_of(Path(f"/proc/{pid}/stat")) in ENDED


def _open_files(pid: int) -> list[Path]:
    """Return what the descriptors of a process lead to; nothing if one was closed meanwhile."""
    try:
        return sorted(path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return []


def test_a_service_shows_its_own_name_and_has_no_descriptor_of_the_server(starter: Starter) -> None:
    process = starter.start()
    line = Path(f"/proc/{process.pid}/cmdline")
    wait_for(lambda: line.read_bytes().startswith(b"python\0-m\0tests.support.deaf_service"), "its name")
    own = [Path(f"/proc/self/fd/{end}").readlink() for end in (2, 2, starter.parent_pipe, starter.liveness_pipe)]
    expected = sorted([Path("/dev/null"), *own])
    wait_for(lambda: _open_files(process.pid) == expected, "its own descriptors, and no file of an import any more")
    assert os.getpgid(process.pid) == process.pid


def test_the_exit_of_a_service_is_reported_with_its_code(starter: Starter) -> None:
    first, second = starter.start(), starter.start()
    assert first.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(10) == -signal.SIGKILL
    assert second.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.01)
    second.kill()
    assert second.returncode == -signal.SIGKILL
    second.send_signal(signal.SIGTERM)  # its number may be another process's by now


@pytest.mark.logs_errors
def test_a_server_that_is_killed_is_replaced_and_its_services_continue(starter: Starter) -> None:
    first = starter.start()
    server = _parent(first.pid)
    os.kill(server, signal.SIGKILL)
    second = starter.start()
    assert _parent(second.pid) != server
    assert first.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(10) == UNKNOWN_CODE


@pytest.mark.logs_errors
def test_a_server_that_is_stopped_is_replaced(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    server = _parent(starter.start().pid)
    os.kill(server, signal.SIGSTOP)
    wait_for(lambda: state_of(Path(f"/proc/{server}/stat")) == "T", "the stop")
    monkeypatch.setattr("scripts.machine.service_process.ANSWER_WITHIN_S", 2.0)
    assert _parent(starter.start().pid) != server
    assert _has_ended(server)()


def test_a_server_ignores_the_signals_of_a_terminal_and_ends_with_the_supervisor(starter: Starter) -> None:
    process = starter.start()
    server = _parent(process.pid)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(server, number)
    assert _parent(starter.start().pid) == server
    assert starter.server._socket is not None
    starter.server._socket.close()
    wait_for(_has_ended(server), "the end of the server")
    assert process.poll() is None
