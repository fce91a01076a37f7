"""A process that does not answer is ended and started again; the rest of the machine goes on meanwhile.

Real processes under a real supervisor, whose watchdog has a short timeout.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from loguru import logger

import settings as environment
from broker import WriteLock
from broker.storage.lock_file import read_holder
from scripts.local.ports import free_ports
from scripts.machine import services
from scripts.machine.serve import migrate
from scripts.machine.supervisor import Service, Supervisor
from scripts.machine.watchdog import ENDED, Watchdog, state_of
from tests.support.waiting import wait_for

HOOK = "https://93.184.216.34/hook"  # an address, which needs no name server; nothing is sent to it
TIMEOUT_S = 3.0
AT_ONCE_S = 3.0  # far less than the five seconds that a write waits


class SmallMachine:
    """The API and the workers under a real supervisor with a short timeout."""

    def __init__(self, data_dir: Path, holder: Service) -> None:
        self.data_dir = data_dir
        self.database = data_dir / "vidprod.sqlite3"
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.headers = {"Authorization": "Bearer a-key-of-this-test"}
        environ = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "API_KEYS": "a-key-of-this-test",
            "SECRET_KEY": "a secret of this test",
            "ROOT_URL": self.url,
        }
        lock_file = WriteLock.file_of(self.database)
        self.watchdog = Watchdog(timeout_s=TIMEOUT_S, lock_holder=lambda: read_holder(lock_file))
        chosen = environment.read(environ)
        watched = [
            services.api(),
            services.network_worker(),
            services.media_worker(),
            holder,
        ]
        self.supervisor = Supervisor(
            watched, environ=environ, settings=chosen, log_to_files=True, watchdog=self.watchdog
        )
        migrate(environ)
        self.supervisor.start()
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._turns = 0
        self._thread = threading.Thread(target=self._supervise)
        self._thread.start()

    def _supervise(self) -> None:
        while not self._stopping.wait(0.1):
            with self._turn:
                self.supervisor.check_services()
                self._turns += 1

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do nothing as a supervisor for the length of a block."""
        with self._turn:
            yield

    def wait_for_turns(self, count: int) -> None:
        """Wait until the supervisor has checked its services so many times."""
        until = self._turns + count
        wait_for(lambda: self._turns >= until, "the supervisor")

    def pid(self, name: str) -> int | None:
        """Return the process of a service."""
        [running] = [running for running in self.supervisor._running if running.service.name == name]
        return None if running.process is None else running.process.pid

    def answers(self) -> bool:
        """Return whether the API answers."""
        try:
            return requests.get(f"{self.url}/jobs", headers=self.headers, timeout=5).ok
        except requests.RequestException:
            return False

    def get(self, path: str) -> requests.Response:
        """Send a request that reads; it must be answered at once."""
        started_s = time.monotonic()
        found = requests.get(f"{self.url}{path}", headers=self.headers, timeout=20)
        assert time.monotonic() - started_s < AT_ONCE_S
        return found

    def write(self, number: int) -> requests.Response:
        """Send a request that writes."""
        document = {"url": f"{HOOK}/{number}"}
        return requests.post(f"{self.url}/webhooks", json=document, headers=self.headers, timeout=20)

    def stop(self) -> None:
        """Stop everything."""
        self._stopping.set()
        self._thread.join()
        self.supervisor.stop()
        self.watchdog.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallMachine]:
    """Return a machine that the tests share; its service "holder" starts when the file `go` exists."""
    data_dir = tmp_path_factory.mktemp("small")
    holder = Service(
        "holder", ["tests.support.lock_holder", str(data_dir / "stopped")], wanted=(data_dir / "go").exists
    )
    made = SmallMachine(data_dir, holder)
    try:
        wait_for(made.answers, "the API")
        yield made
    finally:
        made.stop()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    found: list[str] = []
    sink = logger.add(lambda message: found.append(str(message)), level="WARNING")
    yield found
    logger.remove(sink)


def _restarted(machine: SmallMachine, name: str, before: int | None) -> bool:
    return machine.pid(name) not in {None, before}


@pytest.mark.logs_errors
def test_a_process_that_is_stopped_with_the_lock_stalls_nothing(machine: SmallMachine, lines: list[str]) -> None:
    """Twelve writes, of which some are refused; all reads are answered; what was accepted is stored, once."""
    (machine.data_dir / "go").touch()
    wait_for((machine.data_dir / "stopped").exists, "a stopped process that holds the lock")
    before = machine.pid("holder")
    with ThreadPoolExecutor(12) as pool:
        writes = [pool.submit(machine.write, number) for number in range(12)]
        wait_for(lambda: any(write.done() for write in writes), "a refused write", 10)
        assert f"holder (process {before})" in machine.watchdog.holder_text()
        assert machine.get("/jobs").ok
        assert machine.get("/health").json()["checks"]["database"]["ok"]
        assert machine.get("/connect/tiktok/callback?state=invented&code=x").status_code == 400
        assert machine.get("/media/invented").status_code == 404
        answers = [write.result() for write in writes]
    wait_for(lambda: _restarted(machine, "holder", before), "the restart")
    accepted = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {answer.status_code for answer in refused} == {503}
    for answer in refused:
        assert (answer.headers["Retry-After"], answer.json()["reason"]) == ("5", "locked")
    wait_for(lambda: machine.write(99).status_code == 201, "a write after the restart")
    stored = [endpoint["url"] for endpoint in machine.get("/webhooks").json()["endpoints"]]
    assert sorted(stored) == sorted([*(answer.json()["url"] for answer in accepted), f"{HOOK}/99"])
    [ended] = [line for line in lines if "does not answer" in line]
    assert f"Service holder: process does not answer, ending it: process {before}: no heartbeat for" in ended
    assert f"the write lock is held by holder (process {before}) for" in ended


@pytest.mark.logs_errors
def test_stopped_services_are_started_again_and_no_other(machine: SmallMachine, lines: list[str]) -> None:
    before = {name: machine.pid(name) for name in ("api", "network", "media")}
    stopped = ("api", "network")
    for name in stopped:
        _signal(before[name], signal.SIGSTOP)
    wait_for(lambda: all(_restarted(machine, name, before[name]) for name in stopped), "the restarts")
    wait_for(machine.answers, "the API")
    assert machine.pid("media") == before["media"]
    assert len([line for line in lines if "does not answer" in line]) == 2


@pytest.mark.parametrize("name", ["api", "network", "media"])
def test_a_stopped_process_that_continues_ends_at_the_request_of_meanwhile(machine: SmallMachine, name: str) -> None:
    """Any of its threads may take the signal then, and Python's handlers run in the main thread, which must see it."""
    wait_for(lambda: machine.pid(name) is not None, "the process")
    wait_for(machine.answers, "the API")
    with machine.paused():
        pid = machine.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: state_of(Path(f"/proc/{pid}/stat")) == "T", "the stop")
        os.kill(pid, signal.SIGTERM)
        os.killpg(pid, signal.SIGCONT)
        wait_for(lambda: state_of(Path(f"/proc/{pid}/stat")) in ENDED, "the end", 9.0)
    wait_for(lambda: _restarted(machine, name, pid), "the new process")


def test_a_paused_machine_that_continues_loses_no_process(machine: SmallMachine, lines: list[str]) -> None:
    """As `docker pause` and a suspended virtual machine do it: all processes are frozen, with their supervisor."""
    before = {name: machine.pid(name) for name in ("api", "network", "media")}
    with machine.paused():
        for pid in before.values():
            _signal(pid, signal.SIGSTOP)
        time.sleep(TIMEOUT_S + 1)  # the time itself is what is tested
        for pid in before.values():
            _signal(pid, signal.SIGCONT)
    wait_for(machine.answers, "the API")
    machine.wait_for_turns(20)
    assert before == {name: machine.pid(name) for name in before}
    assert not [line for line in lines if "does not answer" in line]


@pytest.mark.logs_errors
def test_a_process_that_ignores_the_request_to_end_is_killed(
    tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.machine.supervisor.END_WITHIN_S", 0.5)
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    watchdog = Watchdog(timeout_s=1.0)
    deaf = Service("deaf", ["tests.support.deaf_service", str(tmp_path / "stopped")])
    supervisor = Supervisor(
        [deaf], environ=environ, settings=environment.read(environ), log_to_files=True, watchdog=watchdog
    )
    try:
        supervisor.start()
        wait_for(
            lambda: any("deaf: not ended in time" in line for line in lines),
            "a kill",
            meanwhile=supervisor.check_services,
        )
        [running] = supervisor._running
        wait_for(lambda: running.process is None, "its end", meanwhile=supervisor.check_services)
        wait_for(lambda: running.process is not None, "its restart", meanwhile=supervisor.check_services)
    finally:
        for one in supervisor._running:
            one.kill()
        supervisor.stop()
        watchdog.close()
    assert len([line for line in lines if "not ended in time" in line]) == 1


@pytest.mark.logs_errors
def test_a_process_that_is_not_needed_and_does_not_end_is_killed(
    tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers, so the watchdog does not find it; without this, the service would never start again."""
    monkeypatch.setattr("scripts.machine.supervisor.STOP_WITHIN_S", 0.5)
    monkeypatch.setattr("scripts.machine.supervisor.DEMAND_INTERVAL_S", 0.1)
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    marker, is_wanted = tmp_path / "stopped", True
    deaf = Service("deaf", ["tests.support.deaf_service", str(marker)], wanted=lambda: is_wanted)
    supervisor = Supervisor([deaf], environ=environ, settings=environment.read(environ), log_to_files=True)
    [running] = supervisor._running
    try:
        supervisor.start()
        first = running.process
        assert first is not None
        wait_for(marker.exists, "it to ignore SIGTERM", meanwhile=supervisor.check_services)
        os.kill(first.pid, signal.SIGCONT)
        is_wanted = False
        wait_for(lambda: running.process is None, "its end", meanwhile=supervisor.check_services)
        is_wanted = True
        wait_for(lambda: running.process not in {None, first}, "its restart", meanwhile=supervisor.check_services)
    finally:
        for one in supervisor._running:
            one.kill()
        supervisor.stop()
        supervisor._watchdog.close()
    assert len([line for line in lines if "not ended in time" in line]) == 1


def _signal(pid: int | None, number: signal.Signals) -> None:
    assert pid is not None
    os.kill(pid, number)
