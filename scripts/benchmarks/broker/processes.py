"""The child processes of one measurement, seen from the bench: workers that are told when to begin, and senders."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.broker import run_log
from scripts.benchmarks.broker.target import Place

__all__ = ["ChildFailed", "WorkerProcess", "sent", "workers"]

ROOT = Path(__file__).resolve().parents[3]
STOP_TIMEOUT_S = 20.0
LOOK_S = 0.01


class ChildFailed(Exception):
    """A child process ended without having said what it was to say; its errors were printed."""


class _Child:
    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"scripts.benchmarks.broker.{module}", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def said(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self.process.args!r} ended with {self.process.wait()}")
        return line.strip()

    def go(self) -> None:
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
    """A process with a Dramatiq Worker, and the tally of what ran in it."""

    def __init__(self, place: Place, tally_path: Path, capacity: int) -> None:
        self.tally = tally_path
        self._child = _Child("worker", place.told(), str(tally_path), str(capacity))

    @property
    def pid(self) -> int:
        """Of the process, which has no children."""
        return self._child.process.pid

    def await_ready(self) -> None:
        """Wait until everything is imported and the broker is made."""
        self._child.said()

    def go(self) -> None:
        """Have the Worker start."""
        self._child.go()

    def started_ns(self) -> int:
        """Return when it did."""
        return int(self._child.said())

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._child.process.kill()
        self._child.process.wait()

    def end(self) -> None:
        """Tell it to end in order, without waiting."""
        self._child.process.terminate()

    def stop(self) -> None:
        """End it in order, and wait for it."""
        self._child.stop()


@contextmanager
def workers(place: Place, home: Path, count: int, capacity: int) -> Iterator[list[WorkerProcess]]:
    """Have worker processes ready, not yet started; stop them in the end.

    Args:
        home: directory for the tallies.
        capacity: how many runs each can note.
    """
    crew = [WorkerProcess(place, home / f"{place.queue}-{n}-{time.monotonic_ns()}", capacity) for n in range(count)]
    try:
        for worker in crew:
            worker.await_ready()
        yield crew
    finally:
        for worker in crew:
            worker.end()
        for worker in crew:
            worker.stop()


@dataclass(frozen=True, slots=True)
class Sending:
    """How sending went, in all processes together."""

    seconds: float  # from the first one's beginning to the last one's end, without the start of the processes
    longest_ms: float  # the slowest single call
    share: float  # how long the first to end took, of what the last took: 1 where all had their turn alike


def sent(place: Place, how: str, count: int, *, processes: int = 1, nap_ms: int = 0) -> Sending:
    """Send `count` messages from each of some processes."""
    children = [_Child("producer", place.told(), how, str(count), str(nap_ms)) for _ in range(processes)]
    try:
        for child in children:
            child.said()
        for child in children:
            child.go()
        times = [[int(word) for word in child.said().split()] for child in children]
        for child in children:
            child.process.wait(STOP_TIMEOUT_S)
    finally:
        for child in children:
            child.stop()
    begun_ns = min(begin for begin, _, _ in times)
    took_ns = [end - begun_ns for _, end, _ in times]
    longest_ns = max(longest for _, _, longest in times)
    return Sending(max(took_ns) / 1e9, longest_ns / 1e6, min(took_ns) / max(took_ns))


def await_ended(crew: list[WorkerProcess], count: int, timeout_s: float) -> bool:
    """Wait until so many runs have ended in all; False: they have not within the time."""
    deadline_s = time.monotonic() + timeout_s
    while sum(run_log.ended(worker.tally) for worker in crew) < count:
        if time.monotonic() > deadline_s:
            return False
        time.sleep(LOOK_S)
    return True
