"""The machine under test, started by `scripts/serve`, and the mock platforms, each with processes of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests

from scripts.fault_injection.clips import SEGMENT_S
from scripts.fault_injection.processes import ProcessTree
from scripts.fault_injection.timeline import Timeline
from scripts.local.client import Client
from scripts.local.run import connect_mocks, development
from scripts.machine.child import ROOT

API_KEY = "key-of-the-fault-injection"
SERVICES = {
    "api": "python -m api",
    "scheduler": "python -m scripts.machine.scheduler",
    "network worker": "python -m scripts.machine.network_worker",
    "media worker": "python -m scripts.machine.media_worker",
}
MEDIA_CHILD = "-m media."
SUPERVISOR = "scripts.machine.serve"
START_WITHIN_S = 90.0
RESTART_S = 1.0  # as systemd's RestartSec


class NotReached(Exception):
    """The machine has not come into a state in time."""


def wait_until(condition: Callable[[], bool], what: str, within_s: float, interval_s: float = 0.2) -> None:
    """Block until a condition holds.

    Raises:
        NotReached: it does not in time.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise NotReached(f"waited {within_s:.0f} s in vain for {what}")
        time.sleep(interval_s)


class MockPlatforms:
    """The mock platforms: a process outside of the machine, with records of its own."""

    def __init__(self, port: int, directory: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.directory = directory / "mock"
        self._command = [
            sys.executable,
            "-m",
            "platforms.mock",
            "--port",
            str(port),
            "--directory",
            str(self.directory),
        ]
        self._log = (directory / "mock.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=self._log, stderr=self._log)
        wait_until(self.answers, "the mock platforms", START_WITHIN_S)

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            return requests.get(self.url, timeout=5).ok
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """Kill it; until it is started again, connections are refused."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it for good."""
        self.kill()
        self._log.close()

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def add_fault(self, **fault: object) -> None:
        """Add a fault (`platforms.mock.faults`)."""
        with contextlib.suppress(requests.RequestException):  # it is stopped, or is just being killed
            requests.post(f"{self.url}/mock/faults", json=fault, timeout=5)

    def expire_tokens(self, platform: str) -> None:
        """Let the access tokens expire that a platform has issued until now."""
        with contextlib.suppress(requests.RequestException):
            requests.post(f"{self.url}/mock/expire-tokens/{platform}", timeout=5)

    def clear_faults(self) -> None:
        """Remove all faults."""
        requests.delete(f"{self.url}/mock/faults", timeout=10).raise_for_status()


class Machine:
    """The machine; its supervisor is started again whenever it exits, as by systemd."""

    def __init__(
        self, directory: Path, data_dir: Path, ports: tuple[int, int], environ: dict[str, str], timeline: Timeline
    ) -> None:
        """Prepare.

        Args:
            directory: of logs and of the mock's records.
            data_dir: of the machine.
            ports: of the API and of the mock platforms.
            environ: more variables of its processes.
            timeline: for the starts.
        """
        api_port, mock_port = ports
        self.data_dir = data_dir
        self.log_path = directory / "machine.log"
        self.mock = MockPlatforms(mock_port, directory)
        self.client = Client(f"http://127.0.0.1:{api_port}", API_KEY)
        self._timeline = timeline
        self._environ = (
            development(
                {
                    "PATH": os.environ["PATH"],
                    "DATA_DIR": str(data_dir),
                    "PORT": str(api_port),
                    "MOCK_PORT": str(mock_port),
                    "API_KEYS": API_KEY,
                    "SECRET_KEY": "secret-of-the-fault-injection",
                    "SEGMENT_SECONDS": str(SEGMENT_S),
                    "MEDIA_RETRY_SECONDS": "1",
                    "RETENTION_HOURS": "0",
                    "PUBLISH_PACE": "0.01",  # platforms fail all the time: a pause of an hour becomes one of 36 s
                    "UPLOAD_RATE_LIMIT": "100000",
                }
            )
            | environ
        )
        self._log = self.log_path.open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self._trees: list[ProcessTree] = []
        self._stopping = threading.Event()
        self._restarter = threading.Thread(target=self._restart_when_ended, daemon=True)

    def start(self) -> None:
        """Start it, connect the mock accounts, and keep it running."""
        self._start()
        wait_until(self.client.healthy, "the machine to start", START_WITHIN_S)
        connect_mocks(self.client, self.mock.url)
        self._restarter.start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", SUPERVISOR], cwd=ROOT, env=self._environ, stdout=self._log, stderr=self._log
        )
        self._trees.append(ProcessTree(self._process.pid, str(self.data_dir)))

    def _restart_when_ended(self) -> None:
        while not self._stopping.wait(RESTART_S):
            if self._process is not None and (code := self._process.poll()) is not None:
                self._timeline.event("supervisor exited", str(code))
                with contextlib.suppress(NotReached):
                    wait_until(lambda: not self.processes(), "all processes to follow the supervisor", 60)
                if not self._stopping.is_set():
                    self._timeline.event("supervisor started", f"processes left: {self.processes()}")
                    self._start()

    def reconnect_accounts(self) -> list[str]:
        """Connect the accounts again that ask for it, as their owner would; return their platforms."""
        accounts = self.client.call("GET", "/accounts")["accounts"]
        refused = [account["platform"] for account in accounts if account["status"] == "reconnect"]
        for platform in refused:
            self.client.connect(platform)
        return refused

    def processes(self) -> dict[int, str]:
        """Return the pids of all processes, also of earlier starts, with their command lines."""
        found: dict[int, str] = {}
        for tree in self._trees:
            found |= tree.processes()
        return found

    def pids(self, text: str) -> list[int]:
        """Return the processes with a text in their command lines."""
        return sorted(pid for pid, line in self.processes().items() if text in line)

    def stop(self) -> int:
        """Stop it; return the number of processes that are left."""
        self._stopping.set()
        self._restarter.join()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        with contextlib.suppress(NotReached):
            wait_until(lambda: not self.processes(), "all processes to exit", 20)
        return len(self.processes())

    def kill(self) -> None:
        """Kill everything, for want of an orderly end."""
        self._stopping.set()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._log.close()
        self.mock.close()
