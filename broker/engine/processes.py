"""The consuming processes of a file: register, heartbeat, prune, and the lease file of each.

A lease file is locked by its process and holds the time until which the process answers for its messages. The kernel
drops the lock when the process exits, however it exits, so others find out at once. The time in the file is for a
process that lives but does nothing (SIGSTOP, a swamped machine). What a lost process held goes back to its queues in
the same transaction that deletes its row; from then on its acknowledgements match nothing, because no later claim has
its fencing token.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from broker.engine.batch import WriteBatch
from broker.storage.connection import Readable
from broker.storage.fork import close_descriptor, close_in_children
from broker.storage.inspection import WorkerProcess, consumers

__all__ = [
    "Commit",
    "LeaseFile",
    "LeaseState",
    "ProcessRegistry",
    "RegisteredProcess",
    "Registry",
    "read_lease",
    "return_all",
]

Commit = Callable[[Callable[[WriteBatch], None]], None]

_TIME_CHARS = 21
_LINE_BYTES = 65_536

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The lease of another process at one moment."""

    locked: bool  # the process lives
    expires_s: float  # on this machine's monotonic clock; 0 while the process holds no message
    line: str = ""  # the text that the process publishes

    def expired(self, now_s: float) -> bool:
        """Return whether a living process has let its time pass."""
        return self.locked and 0 < self.expires_s <= now_s


class LeaseFile:
    """The lease of this process. Made under the write lock, before its row can be seen."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / uuid4().hex
        # O_CLOEXEC: a program started by an actor must not keep a dead worker's lease alive.
        # Nor may a forked child.
        self._fd = close_in_children(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.expires_s = 0.0
        self.extend(0.0)

    def extend(self, until_s: float) -> None:
        """Store the expiry (monotonic clock); 0 while this process holds no message."""
        self.expires_s = until_s
        os.pwrite(self._fd, f"{until_s:0{_TIME_CHARS - 1}.3f}\n".encode(), 0)

    def publish(self, line: str) -> None:
        """Store a line for the readers of the lease; it never gets shorter."""
        os.pwrite(self._fd, f"{line}\n".encode(), _TIME_CHARS)

    def release(self) -> None:
        """Drop the lock and remove the file."""
        self.path.unlink(missing_ok=True)
        close_descriptor(self._fd)


def read_lease(path: Path) -> LeaseState:
    """Read a lease without disturbing it: a shared lock, tried without blocking."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return LeaseState(locked=False, expires_s=0.0)
    try:
        # Shared, so that two simultaneous readers do not take each other for the owner.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        expires, _, line = os.pread(fd, _LINE_BYTES, 0).decode().partition("\n")
        return LeaseState(locked=True, expires_s=float(expires or 0), line=line.rstrip("\n"))
    else:
        return LeaseState(locked=False, expires_s=0.0)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class RegisteredProcess:
    """A row of the registry: a consuming process."""

    id: int
    lease: str
    pid: int


class Registry(Protocol):
    """The row and the lease of this process in any kind of database. Used by the writer's thread."""

    id: int | None
    lease_s: float

    def register(self, batch: WriteBatch, queues: list[str]) -> int:
        """Make sure that a row and a lease exist and name these queues; returns the row's id."""

    def heartbeat(self, *, holding: bool) -> None:
        """Extend the lease without a transaction, where that is possible."""

    def heartbeat_due_in_s(self, *, holding: bool) -> float | None:
        """Return in how many seconds the lease must be extended; None: not needed."""

    def keep(self, commit: Commit) -> None:
        """Extend the lease by a transaction, where that is needed and due."""

    def publish(self, line: str) -> None:
        """Store a line for the readers of the lease."""

    def prune_lost(self, database: Readable, commit: Commit) -> set[int]:
        """Return the messages of lost processes; returns the process ids of the living on this machine."""

    def next_look_s(self, interval_s: float) -> float:
        """Return in how many seconds to look for lost processes again, if every `interval_s` is usual."""

    def consumers(self, database: Readable) -> list[WorkerProcess]:
        """Return the living processes that consume."""

    def deregister(self, batch: WriteBatch) -> None:
        """Return all messages that this process still holds, and delete its row."""

    def release_lease(self) -> None:
        """Drop the lease, after `deregister` has been committed."""


def return_all(batch: WriteBatch, process_id: int) -> None:
    """Return all messages that a process still holds, and delete its row."""
    batch.reclaim(process_id, sys.maxsize)
    batch.connection.execute("DELETE FROM broker_workers WHERE id = ?", (process_id,))


class ProcessRegistry:
    """The row and the lease of this process, and the detection of lost ones. Used by the writer's thread."""

    def __init__(self, leases: Path, *, lease_s: float, max_deliveries: int) -> None:
        self._leases = leases
        self.lease_s = lease_s
        self._max_deliveries = max_deliveries
        self._lease: LeaseFile | None = None
        self._suspects: dict[int, float] = {}  # id of a living process whose lease has expired → the expiry read
        self.id: int | None = None  # of this process's row; None: not registered
        self._queues: list[str] = []
        self._queues_json = "[]"  # the same, as stored

    def register(self, batch: WriteBatch, queues: list[str]) -> int:
        """Make sure that a row and a lease exist and name these queues; returns the row's id.

        After a freeze other processes may have pruned this one. It then registers again under a new id, and its old
        messages belong to others.
        """
        if self.id is not None and self._has_row(batch, queues):
            return self.id
        if self._lease is not None:
            logger.warning("Process %s was pruned after its lease expired; its messages went to others.", self.id)
            self._lease.release()
        # The lease comes before the row: to other processes, a row without a locked lease is a dead process.
        self._lease = LeaseFile(self._leases)
        [(self.id,)] = batch.connection.execute(
            "INSERT INTO broker_workers (lease, pid, host, started_ms, queues) VALUES (?, ?, ?, ?, ?) RETURNING id",
            (self._lease.path.name, os.getpid(), socket.gethostname(), batch.now_ms, json.dumps(queues)),
        ).fetchall()
        assert self.id is not None
        return self.id

    def heartbeat(self, *, holding: bool) -> None:
        """Extend the lease when that is due and this process holds messages; clear the expiry when it holds none.

        So that an idle process need not wake up.
        """
        if self._lease is not None and self.heartbeat_due_in_s(holding=holding) == 0.0:
            self._lease.extend(time.monotonic() + self.lease_s if holding else 0.0)

    def heartbeat_due_in_s(self, *, holding: bool) -> float | None:
        """Return in how many seconds the lease must be extended: at a third of its time. None: not needed."""
        if self._lease is None:
            return None
        if not holding:
            return 0.0 if self._lease.expires_s else None
        return max(0.0, self._lease.expires_s - self.lease_s * 2 / 3 - time.monotonic())

    def keep(self, commit: Commit) -> None:
        """Do nothing: `heartbeat` extends the lease."""

    def publish(self, line: str) -> None:
        """Store a line in the lease for its readers."""
        if self._lease is not None:
            self._lease.publish(line)

    def consumers(self, database: Readable) -> list[WorkerProcess]:
        """Return the living processes that consume. A dead one disappears at once."""

        def published(lease: str) -> str | None:
            state = read_lease(self._leases / lease)
            return state.line if state.locked else None

        return consumers(database, published)

    def prune_lost(self, database: Readable, commit: Commit) -> set[int]:
        """Return the messages of lost processes; returns the process ids of the living."""
        rows = database.read("SELECT id, lease, pid FROM broker_workers", by_writer=True)
        processes = [RegisteredProcess(*row) for row in rows]
        lost = self.lost(processes)
        if lost:
            commit(lambda batch: self.prune(batch, lost))
        return {process.pid for process in processes if process.id != self.id and process not in lost}

    def lost(self, processes: Sequence[RegisteredProcess]) -> list[RegisteredProcess]:
        """Return the other processes that are dead, or frozen past their lease's expiry."""
        now_s = time.monotonic()
        found = [process for process in processes if process.id != self.id and self._is_lost(process, now_s)]
        ids = {process.id for process in processes}
        self._suspects = {id_: expiry for id_, expiry in self._suspects.items() if id_ in ids}
        return found

    def prune(self, batch: WriteBatch, processes: Sequence[RegisteredProcess]) -> None:
        """Return the messages of lost processes to their queues, and delete their rows."""
        for process in processes:
            state = read_lease(self._leases / process.lease)
            if state.locked and not state.expired(time.monotonic()):
                continue  # the process came back while this one waited for the write lock
            batch.reclaim(process.id, self._max_deliveries)
            batch.connection.execute("DELETE FROM broker_workers WHERE id = ?", (process.id,))
            if not state.locked:
                (self._leases / process.lease).unlink(missing_ok=True)
            logger.warning(
                "Process %d %s; its messages go to others.",
                process.pid,
                "froze" if state.locked else "died",
                extra={"lost_pid": process.pid, "frozen": state.locked},
            )

    def deregister(self, batch: WriteBatch) -> None:
        """Return all messages that this process still holds, and delete its row."""
        if self.id is not None:
            return_all(batch, self.id)

    def release_lease(self) -> None:
        """Drop the lease, after `deregister` has been committed."""
        if self._lease is not None:
            self._lease.release()
        self._lease = self.id = None

    def next_look_s(self, interval_s: float) -> float:
        """Return in how many seconds to look for lost processes again, sooner after an expired lease."""
        return self.lease_s / 4 if self._suspects else min(interval_s, self.lease_s)

    def _has_row(self, batch: WriteBatch, queues: list[str]) -> bool:
        row = batch.connection.execute("SELECT queues FROM broker_workers WHERE id = ?", (self.id,)).fetchone()
        if queues != self._queues:
            self._queues, self._queues_json = queues, json.dumps(queues)
        if row is not None and row[0] != self._queues_json:
            batch.connection.execute("UPDATE broker_workers SET queues = ? WHERE id = ?", (self._queues_json, self.id))
        return row is not None

    def _is_lost(self, process: RegisteredProcess, now_s: float) -> bool:
        state = read_lease(self._leases / process.lease)
        if not state.locked:
            return True
        if not state.expired(now_s):
            self._suspects.pop(process.id, None)
            return False
        # The same expiry twice: the process had the chance to extend it in between. Once is not enough, because both
        # processes may have waited for a write lock that a third one held.
        seen_before = self._suspects.get(process.id) == state.expires_s
        self._suspects[process.id] = state.expires_s
        return seen_before
