"""Controls `scripts/run` in a test: start, inspect, kill, start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from scripts.fault_injection.processes import ProcessTree
from scripts.local.client import Client
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.1  # an answer costs API and test some milliseconds of the two cores that render the video
OVER = {"completed", "completed_with_errors", "failed", "cancelled"}
Json = Any  # what the machine and the mock answer


class TestMachine:
    """One start of the whole machine with its mock, in a data directory that outlives it."""

    __test__ = False

    def __init__(self, data_dir: Path, api_port: int, mock_port: int, environ: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.mock_url = f"http://127.0.0.1:{mock_port}"
        data_dir.mkdir(exist_ok=True)
        self.environ = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(data_dir),
            "PORT": str(api_port),
            "MOCK_PORT": str(mock_port),
            "API_KEYS": "test-key-of-tests",
            "SEGMENT_SECONDS": "6",
            **environ,
        }
        self._output = (data_dir / "run.log").open("ab")
        self._log_start = self._output.tell()  # what an earlier start has printed does not count
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.local.run"],
            cwd=ROOT,
            env=self.environ,
            stdout=self._output,
            stderr=self._output,
        )
        self._tree = ProcessTree(self.process.pid, str(data_dir))
        self.client = Client(f"http://127.0.0.1:{api_port}", "test-key-of-tests")

    def wait_until_it_answers(self) -> None:
        """Wait until everything is started and the accounts are connected."""
        wait_for(lambda: b"Ctrl-C stops everything" in self.log()[self._log_start :], "the machine to start")

    def log(self) -> bytes:
        """Return what scripts/run has printed."""
        return (self.data_dir / "run.log").read_bytes()

    def upload(self, video: Path, **fields: str) -> str:
        """Upload a video; return its job's id."""
        return self.client.upload(video, {"title": "A talk", **fields}, lambda _: None)

    def status(self, job_id: str) -> Json:
        """Return the job's status document."""
        return self.client.call_with_retries("GET", f"/status/{job_id}")

    def finished(self, job_id: str, within_s: float = 120.0) -> Json:
        """Wait until the job is over; return its status document."""
        wait_for(lambda: self.status(job_id)["status"] in OVER, "the job to end", within_s, interval_s=POLL_S)
        return self.status(job_id)

    def posts(self) -> list[Json]:
        """Return what the mock platforms have published."""
        found: list[Json] = requests.get(f"{self.mock_url}/mock/posts", timeout=10).json()
        return found

    def webhooks(self) -> list[Json]:
        """Return the webhooks that arrived, oldest first."""
        found: list[Json] = requests.get(f"{self.mock_url}/mock/webhooks", timeout=10).json()
        return found

    def fault(self, **fault: Json) -> None:
        """Let the mock fail in a chosen way."""
        requests.post(f"{self.mock_url}/mock/faults", json=fault, timeout=10).raise_for_status()

    def fault_all(self, faults: list[Json]) -> None:
        """Let the mock fail in several chosen ways."""
        requests.post(f"{self.mock_url}/mock/faults", json=faults, timeout=10).raise_for_status()

    def processes(self) -> dict[int, str]:
        """Return the pids of all processes that work on this data directory, with their command lines.

        They are scripts/run and what descends from it, now or when this was called before. Media children have the
        directory in their command line.
        """
        return self._tree.processes()

    def kill_9(self, name: str, *, may_miss: bool = False) -> set[int]:
        """Kill the processes whose command line has this text; return their pids.

        Args:
            name: a part of the command line.
            may_miss: whether there may be none. Else a process with another name would turn a test into one that
                always passes.
        """
        return self.signal(signal.SIGKILL, name, may_miss=may_miss)

    def signal(self, number: signal.Signals, name: str, *, may_miss: bool = False) -> set[int]:
        """Send a signal to the processes whose command line has this text, as `kill_9`; return their pids."""
        found = {pid for pid, line in self.processes().items() if name in line}
        assert found or may_miss, f"no process has {name!r} in its command line"
        for pid in found:
            os.kill(pid, number)
        return found

    def die(self) -> None:
        """Kill scripts/run itself, as a power cut would, and nothing else."""
        self.processes()  # notes its descendants
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask everything to stop."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(40)
        self._output.close()
