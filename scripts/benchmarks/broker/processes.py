"""Child processes of a measurement: workers and producers that start on command."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.broker import run_log
from scripts.benchmarks.broker.target import Target

__all__ = ["ChildFailed", "WorkerProcess", "send", "workers"]

ROOT = Path(__file__).resolve().parents[3]
STOP_TIMEOUT_S = 20.0
POLL_INTERVAL_S = 0.01


class ChildFailed(Exception):
    """A child process exited without the expected output; its errors were printed."""


class _ChildProcess:
    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"scripts.benchmarks.broker.{module}", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self.process.args!r} exited with {self.process.wait()}")
        return line.strip()

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        with self.process:  # closes the pipes
            pass


class WorkerProcess:
    """A process with a Dramatiq Worker, and the log of its runs."""

    def __init__(self, target: Target, log_path: Path, capacity: int) -> None:
        self.run_log = log_path
        self._child = _ChildProcess("worker", target.to_json(), str(log_path), str(capacity))

    @property
    def pid(self) -> int:
        """The id of the process, which has no children."""
        return self._child.process.pid

    def await_ready(self) -> None:
        """Wait until everything is imported and the broker is created."""
        self._child.read_line()

    def start(self) -> None:
        """Start the Worker."""
        self._child.start()

    def started_ns(self) -> int:
        """Return when the Worker started, in monotonic nanoseconds."""
        return int(self._child.read_line())

    def kill(self) -> None:
        """Kill the process (SIGKILL)."""
        self._child.process.kill()
        self._child.process.wait()

    def end(self) -> None:
        """Ask the process to stop, without waiting."""
        self._child.process.terminate()

    def stop(self) -> None:
        """Ask the process to stop, and wait for its end."""
        self._child.stop()


@contextmanager
def workers(target: Target, directory: Path, count: int, capacity: int) -> Iterator[list[WorkerProcess]]:
    """Create worker processes that are ready but not started; stop them at the end.

    Args:
        home: directory for the run logs.
        capacity: number of runs that each log can hold.
    """
    processes = [
        WorkerProcess(target, directory / f"{target.queue}-{n}-{time.monotonic_ns()}", capacity) for n in range(count)
    ]
    try:
        for worker in processes:
            worker.await_ready()
        yield processes
    finally:
        for worker in processes:
            worker.end()
        for worker in processes:
            worker.stop()


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of sending from one or more processes."""

    seconds: float  # from the first start to the last end, without the start of the processes
    longest_ms: float  # the slowest single call
    fairness: float  # time of the fastest process divided by that of the slowest; 1: all were served alike


def send(target: Target, how: str, count: int, *, processes: int = 1, sleep_ms: int = 0) -> SendResult:
    """Send `count` messages from each process."""
    children = [_ChildProcess("producer", target.to_json(), how, str(count), str(sleep_ms)) for _ in range(processes)]
    try:
        for child in children:
            child.read_line()
        for child in children:
            child.start()
        times = [[int(word) for word in child.read_line().split()] for child in children]
        for child in children:
            child.process.wait(STOP_TIMEOUT_S)
    finally:
        for child in children:
            child.stop()
    begun_ns = min(begin for begin, _, _ in times)
    took_ns = [end - begun_ns for _, end, _ in times]
    longest_ns = max(longest for _, _, longest in times)
    return SendResult(max(took_ns) / 1e9, longest_ns / 1e6, min(took_ns) / max(took_ns))


def await_ended(processes: list[WorkerProcess], count: int, timeout_s: float) -> bool:
    """Wait until `count` runs have ended in all processes; return False after the timeout."""
    deadline_s = time.monotonic() + timeout_s
    while sum(run_log.ended(worker.run_log) for worker in processes) < count:
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True
