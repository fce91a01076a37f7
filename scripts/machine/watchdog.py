"""Finds processes of the services that do not answer: stopped, swapped out, deadlocked.

Each process of a service sends heartbeats (`liveness`). Silence is measured by a clock that this module advances:
by at most `LONGEST_STEP_S` at each call. So it stands still while the whole machine is suspended or its control group
is frozen, whatever the kernel's clocks do, and goes slowly while the supervisor itself gets too little of the CPU. A
process that wants to run and gets no CPU is not judged either, for four times the timeout.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import liveness
from broker.storage.lock_file import Holder

TIMEOUT_S = 30.0
LONGEST_STEP_S = 1.0  # the supervisor looks five times a second
PATIENCE = 4  # timeouts: to start, to get the CPU for a thread that wants it, to release the write lock
STOPPED = frozenset("Tt")
RUNNABLE = "R"
ENDED = frozenset("ZX")


@dataclass(frozen=True)
class Silence:
    """A process that does not answer, or that keeps the write lock."""

    pid: int
    reason: str  # for the log


class Watchdog:
    """The pipe of the heartbeats, and what was heard from each process."""

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        lock_holder: Callable[[], Holder | None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the pipe.

        Args:
            timeout_s: of silence, in seconds.
            lock_holder: returns the process that holds the write lock of the database.
            monotonic: the clock.
        """
        self._timeout_s = timeout_s
        self._lock_holder = lock_holder
        self._monotonic = monotonic
        self._last_call_s = monotonic()
        self._clock_s = 0.0
        self._heard_s: dict[int, float] = {}  # process → by the clock of this object
        self._forked_s: dict[int, float] = {}  # process group → when a process that its first one has forked was heard
        self._held: tuple[tuple[int, float], float] | None = None  # holder and when it took the lock; seen since
        self._reading, self.pipe = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.pipe, False)

    @property
    def interval_s(self) -> float:
        """Seconds between two heartbeats of a process."""
        return min(liveness.INTERVAL_S, self._timeout_s / 10)

    def listen(self) -> None:
        """Advance the clock and read the heartbeats; to be called often."""
        now_s = self._monotonic()
        self._clock_s += min(now_s - self._last_call_s, LONGEST_STEP_S)
        self._last_call_s = now_s
        with contextlib.suppress(BlockingIOError):
            while heard := os.read(self._reading, liveness.MESSAGE.size * 1024):
                for (pid,) in liveness.MESSAGE.iter_unpack(heard):
                    self._heard_s[pid] = self._clock_s

    def started(self, pid: int) -> None:
        """Note that a service was started; its first heartbeat may take longer."""
        self._heard_s[pid] = self._clock_s + (PATIENCE - 1) * self._timeout_s

    def silences(self, groups: Iterable[int]) -> dict[int, Silence]:
        """Return the silent processes by their process group.

        Args:
            groups: the process groups of the services, which have the numbers of their first processes.
        """
        watched = set(groups)
        found: dict[int, Silence] = {}
        self._forked_s = {group: heard_s for group, heard_s in self._forked_s.items() if group in watched}
        for pid, heard_s in list(self._heard_s.items()):
            group = _group(pid)
            if group not in watched or state_of(Path(f"/proc/{pid}/stat")) in ENDED:
                del self._heard_s[pid]
                continue
            if pid != group:
                self._forked_s[group] = self._clock_s
            silent_s = self._clock_s - heard_s
            if silent_s >= self._timeout_s:
                states = {state_of(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat")}
                if RUNNABLE in states and not states & STOPPED and silent_s < PATIENCE * self._timeout_s:
                    continue
                found[group] = Silence(pid, f"no heartbeat for {silent_s:.0f} s, state {''.join(sorted(states))}")
        for group, heard_s in self._forked_s.items():
            if self._clock_s - heard_s >= self._timeout_s:
                found.setdefault(group, Silence(group, "the process that it has forked has ended"))
        holder = self._stuck_holder()
        if holder is not None and (group := _group(holder.pid)) in watched:
            found.setdefault(group, Silence(holder.pid, "the write lock is not released"))
        return found

    def holder_text(self) -> str:
        """Return who holds the write lock, for the log."""
        holder = self._lock_holder()
        return "the write lock is free" if holder is None else f"the write lock is held by {holder}"

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reading)
        os.close(self.pipe)

    def _stuck_holder(self) -> Holder | None:
        """Return the process that has held the write lock all the time for several timeouts; no transaction does."""
        holder = self._lock_holder()
        if holder is None:
            self._held = None
            return None
        hold = (holder.pid, holder.since_s)
        if self._held is None or self._held[0] != hold:
            self._held = (hold, self._clock_s)
        return holder if self._clock_s - self._held[1] >= PATIENCE * self._timeout_s else None


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def state_of(stat: Path) -> str:
    """Return the state of a process or thread (proc(5)); X if it has ended."""
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "X"
