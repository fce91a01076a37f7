"""The consuming processes of a database, and the lease of this one.

A row per process. Its connection holds an advisory lock on the row's id, which the server drops when the process ends;
its heartbeat, by the server's clock, is for a process that is frozen or cut off. A process stops its actors when it has
not reached the server for a third of the lease (`LeaseWatch`), and its messages go to others after half of the lease at
the earliest. So a message that is given out again proves that its first holder works on it no more.

The clock of the server may be set, and after the server was away all heartbeats are old. So a process is lost only if
another one, by its own monotonic clock, has seen the same heartbeat for a while (`HeartbeatWatch`).
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from broker.engine.batch import WriteBatch
from broker.engine.processes import Commit, return_all
from broker.errors import DatabaseUnavailable
from broker.postgresql.database import PostgresqlDatabase
from broker.postgresql.transaction import WriterConnection
from broker.storage.boot_clock import boot_id
from broker.storage.connection import Readable
from broker.storage.inspection import WorkerProcess

__all__ = ["HeartbeatWatch", "LeaseWatch", "PostgresqlRegistry"]

HEARTBEATS_PER_LEASE = 6
OBSERVED_PER_LEASE = 4  # for this part of its lease a heartbeat must have been the same under our eyes
RETRY_S = 1.0
CALLBACK_S = HEARTBEAT_WAIT_S = 5.0  # at most, of a thread that asks whether it may go on
COUNTS_INTERVAL_S = 1.0  # between two heartbeats that store new counts

# The number of the table is in the upper half of the lock's: the tables may be in several schemas of a database.
_LOCK = "SELECT pg_try_advisory_lock((CAST(CAST(CAST('broker_workers' AS regclass) AS oid) AS BIGINT) << 32) | ?)"

_END_SESSION = """
    SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
        AND classid = CAST('broker_workers' AS regclass) AND objid = CAST(CAST(? AS BIGINT) AS oid)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""

# `held` is whether the connection of the process holds its advisory lock.
_PROCESSES = """
    SELECT id, pid, host, machine, queues, started_ms, counts, CAST(heartbeat AS TEXT) AS seen, lease_s, session_lock,
        CAST(extract(epoch FROM clock_timestamp() - heartbeat) AS DOUBLE PRECISION) AS age_s,
        EXISTS (
            SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
                AND classid = CAST('broker_workers' AS regclass)
                AND objid = CAST(broker_workers.id AS oid)
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ) AS held,
        (SELECT count(*) FROM broker_messages WHERE state = 2 AND holder = broker_workers.id) AS leased
    FROM broker_workers
"""

logger = logging.getLogger(__name__)


def machine_id() -> str:
    """Return the identity of this machine's boot and of the namespace of its process ids."""
    return f"{boot_id()} {Path('/proc/self/ns/pid').readlink()}"


def is_alive(pid: int) -> bool:
    """Return whether a process of this machine lives; True if that cannot be found out."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    try:
        ended = select.poll()  # not `select`, which refuses descriptors beyond 1,023
        ended.register(fd, select.POLLIN)
        return not ended.poll(0)
    finally:
        os.close(fd)


class Moment(NamedTuple):
    """A moment by two clocks.

    The first one is never set and counts while the machine is suspended. A virtual machine that was paused sees that by
    its wall clock alone.
    """

    boot_s: float
    wall_s: float

    @classmethod
    def now(cls) -> Moment:
        """Return the current moment."""
        return cls(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


class LeaseWatch:
    """A thread that calls back when the heartbeat has failed for too long, once each time.

    Attributes:
        beaten: set by each heartbeat.
    """

    def __init__(self, limit_s: float, on_lost: Callable[[], None]) -> None:
        self.beaten = threading.Event()
        self._limit_s = limit_s
        self._on_lost = on_lost
        self._last = Moment.now()
        self._called = threading.Event()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="broker-lease", daemon=True)
        self._thread.start()

    def beat(self, began: Moment) -> None:
        """Record a heartbeat that began at this moment and has been committed."""
        self._last = began
        self.beaten.set()

    def is_late(self) -> bool:
        """Return whether the last heartbeat is too long ago, by either clock."""
        return self._left_s() <= 0 or time.time() - self._last.wall_s > self._limit_s

    def call_back_now(self) -> None:
        """Wait until the thread has called back if it has to, as right after a freeze."""
        if self._left_s() <= 0:
            self._wake.set()
            self._called.wait(CALLBACK_S)

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _left_s(self) -> float:
        return self._last.boot_s + self._limit_s - Moment.now().boot_s

    def _run(self) -> None:
        pause_s = self._limit_s
        while not self._closing:
            self._wake.wait(max(0.01, pause_s))
            self._wake.clear()
            pause_s = self._left_s()
            if pause_s > 0:
                self._called.clear()
                continue
            pause_s = self._limit_s / 4
            if not self._called.is_set() and not self._closing:
                self._on_lost()
                self._called.set()


class HeartbeatWatch:
    """How long the heartbeats of other processes have been the same, by the monotonic clock of this process."""

    def __init__(self, lease_s: float) -> None:
        self._longest_gap_s = lease_s / OBSERVED_PER_LEASE
        self._looked_s = 0.0
        self._since_s: dict[tuple[int, str], float] = {}  # by process and heartbeat

    def look(self, heartbeats: list[tuple[int, str]], now_s: float) -> dict[tuple[int, str], float]:
        """Record these heartbeats; returns for how many seconds each has been the same.

        All begin anew after a gap between two looks: the server was away for us, and perhaps for everybody.
        """
        if now_s - self._looked_s > self._longest_gap_s:
            self._since_s = {}
        self._looked_s = now_s
        self._since_s = {heartbeat: self._since_s.get(heartbeat, now_s) for heartbeat in heartbeats}
        return {heartbeat: now_s - since_s for heartbeat, since_s in self._since_s.items()}


class PostgresqlRegistry:
    """The row and the lease of this process, and the detection of lost ones. Used by the writer's thread."""

    def __init__(
        self,
        database: PostgresqlDatabase,
        notifies: Callable[[], bool],
        on_lost: Callable[[], None],
        *,
        lease_s: float,
        max_deliveries: int,
    ) -> None:
        """Register nothing yet.

        Args:
            notifies: returns whether notifications arrive on the way by which messages are written; else a pooler lends
                connections, and no lock is kept on one.
            on_lost: called on any thread when this process can no longer answer for its messages.
        """
        self.lease_s = lease_s
        self.id: int | None = None
        self._notifies = notifies
        self._on_lost = on_lost
        self._max_deliveries = max_deliveries
        self._watch: LeaseWatch | None = None
        self._queues: list[str] = []
        self._counts = ""
        self._due_s = 0.0
        self._beaten_s = 0.0  # the last heartbeat
        self._keeps_lock = False
        self._heartbeats = HeartbeatWatch(lease_s)
        database.on_connect.append(self._lock)

    def register(self, batch: WriteBatch, queues: list[str]) -> int:
        """Make sure that a row exists and names these queues; returns its id. As of `ProcessRegistry`."""
        if self.id is not None:
            row = batch.connection.execute(self._claim_lease(), (self.id,)).fetchone()
            if row is not None:
                self._update_queues(batch, row[0], queues)
                return self.id
            logger.warning("Process %s was pruned; its messages went to others.", self.id)
            self._on_lost()
        return self._insert(batch, queues)

    def _claim_lease(self) -> str:
        """Return the statement that keeps the row until the commit, so that no other process prunes it meanwhile.

        If the heartbeat is old, because this process was frozen, say, it is renewed: what is claimed with an old one
        would be given out again at once.
        """
        if time.monotonic() > self._due_s + self.lease_s / HEARTBEATS_PER_LEASE:
            return "UPDATE broker_workers SET heartbeat = clock_timestamp() WHERE id = ? RETURNING queues"
        return "SELECT queues FROM broker_workers WHERE id = ? FOR KEY SHARE"

    def heartbeat(self, *, holding: bool) -> None:
        """Do nothing: `keep` extends the lease."""

    def heartbeat_due_in_s(self, *, holding: bool) -> float | None:  # noqa: ARG002  # also a process without messages
        """Return in how many seconds the next heartbeat is due."""
        return None if self.id is None else max(0.0, self._due_s - time.monotonic())

    def keep(self, commit: Commit) -> None:
        """Commit a heartbeat if it is due."""
        if self.id is None or time.monotonic() < self._due_s:
            return
        began = Moment.now()
        try:
            commit(self._beat)
        except DatabaseUnavailable as error:
            logger.warning("Heartbeat of process %s failed, trying again: %s", self.id, error)
            self._due_s = time.monotonic() + min(RETRY_S, self.lease_s / HEARTBEATS_PER_LEASE)
        else:
            self._has_beaten(began)

    def publish(self, line: str) -> None:
        """Store a line with the next heartbeat, which comes sooner for that."""
        self._counts = line
        self._due_s = min(self._due_s, self._beaten_s + COUNTS_INTERVAL_S)

    def prune_lost(self, database: Readable, commit: Commit) -> set[int]:
        """Return the messages of lost processes; returns the process ids of the living on this machine."""
        mine = machine_id()
        living: set[int] = set()
        rows = database.read(
            f"""
            SELECT id, seen, pid, machine, lease_s, session_lock AND NOT held, age_s FROM ({_PROCESSES}) AS processes
            WHERE id <> ?
            """,  # noqa: S608  # a constant
            (self.id,),
            by_writer=True,
        )
        observed_s = self._heartbeats.look([(row[0], row[1]) for row in rows], time.monotonic())
        for id_, seen, pid, machine, lease_s, released, age_s in rows:
            lost = _is_lost(observed_s[id_, seen], age_s, lease_s / 2 if released else lease_s, lease_s)
            if lost or (machine == mine and not is_alive(pid)):
                self._prune(commit, id_, pid, seen)
            elif machine == mine:
                living.add(pid)
        return living

    def next_look_s(self, interval_s: float) -> float:
        """Return in how many seconds to look for lost processes again."""
        return min(interval_s, self.lease_s / HEARTBEATS_PER_LEASE)

    def consumers(self, database: Readable) -> list[WorkerProcess]:
        """Return the living processes that consume."""
        rows = database.read(
            f"""
            SELECT id, pid, host, queues, started_ms, counts, leased, machine FROM ({_PROCESSES}) AS processes
            WHERE held OR (NOT session_lock AND age_s <= lease_s) ORDER BY id
            """  # noqa: S608  # a constant
        )
        mine = machine_id()
        return [
            WorkerProcess.of(id_, pid, host, queues, started_ms, leased, counts)
            for id_, pid, host, queues, started_ms, counts, leased, machine in rows
            if machine != mine or is_alive(pid)
        ]

    def responsive(self, database: Readable) -> dict[int, tuple[str, ...]]:
        """Return the queues of the processes that live and whose heartbeat does not lag, by their ids."""
        rows = database.read(
            f"""
            SELECT id, queues FROM ({_PROCESSES}) AS processes
            WHERE age_s <= lease_s / 3 AND (held OR NOT session_lock) ORDER BY id
            """,  # noqa: S608  # a constant
            by_writer=True,
        )
        return {id_: tuple(json.loads(queues)) for id_, queues in rows}

    def deregister(self, batch: WriteBatch) -> None:
        """Return all messages that this process still holds, and delete its row."""
        if self.id is not None:
            return_all(batch, self.id)

    def is_held(self, wake: Callable[[], None]) -> bool:
        """Return whether others cannot have the messages of this process, because its heartbeat works.

        Any thread. `wake` has the writer's thread call `keep`.
        """
        watch, id_ = self._watch, self.id
        if watch is None or not watch.is_late():
            return True
        watch.beaten.clear()
        self._due_s = 0.0
        wake()
        watch.call_back_now()
        watch.beaten.wait(HEARTBEAT_WAIT_S)
        return self.id == id_ and not watch.is_late()

    def release_lease(self) -> None:
        """End the watch; the lock ends with its connection."""
        if self._watch is not None:
            self._watch.close()
        self._watch = self.id = None

    def _insert(self, batch: WriteBatch, queues: list[str]) -> int:
        began = Moment.now()
        self._keeps_lock = self._notifies()
        self._queues = queues
        [(self.id,)] = batch.connection.execute(
            """
            INSERT INTO broker_workers (pid, host, machine, started_ms, queues, lease_s, session_lock)
            VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id
            """,
            (
                os.getpid(),
                socket.gethostname(),
                machine_id(),
                batch.now_ms,
                json.dumps(queues),
                self.lease_s,
                self._keeps_lock,
            ),
        ).fetchall()
        assert self.id is not None
        self._lock(batch.connection)
        if self._watch is None:
            self._watch = LeaseWatch(self.lease_s / 3, self._on_lost)
        self._has_beaten(began)
        return self.id

    def _update_queues(self, batch: WriteBatch, stored: str, queues: list[str]) -> None:
        self._queues = queues
        if stored != json.dumps(queues):
            batch.connection.execute("UPDATE broker_workers SET queues = ? WHERE id = ?", (json.dumps(queues), self.id))

    def _lock(self, connection: object) -> None:
        """Take the advisory lock on a new connection; one that another session of ours has left may linger."""
        if self.id is not None and self._keeps_lock:
            assert isinstance(connection, WriterConnection)
            connection.execute(_LOCK, (self.id,))

    def _beat(self, batch: WriteBatch) -> None:
        batch.connection.execute("SET LOCAL synchronous_commit = off")
        beaten = batch.connection.execute(
            "UPDATE broker_workers SET heartbeat = clock_timestamp(), counts = ? WHERE id = ?", (self._counts, self.id)
        )
        if beaten.rowcount == 0:
            self.register(batch, self._queues)
        else:
            self._lock(batch.connection)

    def _has_beaten(self, began: Moment) -> None:
        self._beaten_s = time.monotonic()
        self._due_s = self._beaten_s + self.lease_s / HEARTBEATS_PER_LEASE
        if self._watch is not None:
            self._watch.beat(began)

    def _prune(self, commit: Commit, id_: int, pid: int, seen: str) -> None:
        def prune(batch: WriteBatch) -> None:
            # A frozen process may have stopped in a transaction, and would keep its rows locked for as long: the
            # server's limit of idleness does not hold after a pipeline, whose last message starts no clock.
            batch.connection.execute(_END_SESSION, (id_,))
            row = batch.connection.execute(
                "SELECT queues FROM broker_workers WHERE id = ? AND CAST(heartbeat AS TEXT) = ? FOR UPDATE SKIP LOCKED",
                (id_, seen),
            ).fetchone()
            if row is None:
                return  # it came back, or another process prunes it
            batch.reclaim(id_, self._max_deliveries)
            batch.connection.execute("DELETE FROM broker_workers WHERE id = ?", (id_,))
            batch.readied.update(json.loads(row[0]))  # it may have ended while it claimed
            logger.warning("Process %d is lost; its messages go to others.", pid, extra={"lost_pid": pid})

        commit(prune)


def _is_lost(observed_s: float, age_s: float, limit_s: float, lease_s: float) -> bool:
    """Return whether a heartbeat is too old: seen so by us, or by the server and long enough by us."""
    return observed_s > limit_s or (age_s > limit_s and observed_s >= lease_s / OBSERVED_PER_LEASE)
