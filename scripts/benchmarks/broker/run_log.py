"""The run log: a memory-mapped file in which a worker records every run; it survives `kill -9`."""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

__all__ = ["Run", "RunLog", "ended", "runs"]

_HEAD = struct.Struct("=q")  # number of ended runs
_RUN = struct.Struct("=qqqq")  # number, sent, begun, ended; monotonic nanoseconds, 0: not yet


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job. Times are CLOCK_MONOTONIC, which all processes of a machine share."""

    number: int
    sent_ns: int
    begun_ns: int
    ended_ns: int  # 0: interrupted


class RunLog:
    """Writes the runs of a worker; runs beyond the capacity are only counted."""

    def __init__(self, path: Path, capacity: int) -> None:
        """Create the file if it does not exist."""
        self._capacity = capacity
        with path.open("ab") as file:
            os.truncate(file.fileno(), _HEAD.size + capacity * _RUN.size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._slots = count()
        self._ended = 0
        self._lock = threading.Lock()

    def begin(self, number: int, sent_ns: int) -> int:
        """Record the start of a run; return the slot for `end`."""
        slot = next(self._slots)
        if slot < self._capacity:
            _RUN.pack_into(self._map, _HEAD.size + slot * _RUN.size, number, sent_ns, time.monotonic_ns(), 0)
        return slot

    @staticmethod
    def sleep(sleep_ms: int) -> None:
        """Wait without using the CPU."""
        time.sleep(sleep_ms / 1000)

    def end(self, slot: int) -> None:
        """Record the end of a run."""
        if slot < self._capacity:
            offset = _HEAD.size + slot * _RUN.size + _RUN.size - 8
            struct.pack_into("=q", self._map, offset, time.monotonic_ns())
        with self._lock:
            self._ended += 1
            _HEAD.pack_into(self._map, 0, self._ended)


def ended(path: Path) -> int:
    """Return the number of runs that have ended so far."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    return int(_HEAD.unpack(head)[0]) if len(head) == _HEAD.size else 0


def runs(path: Path) -> list[Run]:
    """Return all runs recorded so far."""
    logged = [Run(*fields) for fields in _RUN.iter_unpack(path.read_bytes()[_HEAD.size :])]
    return [run for run in logged if run.begun_ns]
