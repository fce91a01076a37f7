"""Keeping our lease, and finding the processes that lost theirs: killed ones at once, frozen ones by time.

Runs on the clerk's thread only. What a lost process held goes back to its queues in the same transaction that deletes
its row; from then on its acknowledgements hit nothing, because no claim of ours ever has its token.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from broker.engine.batch import Batch
from broker.engine.lease import Lease, Pulse, feel

__all__ = ["Patrol", "Peer"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another consuming process, as its row tells."""

    id: int
    lease: str
    pid: int


class Patrol:
    """Our lease and our look at the others."""

    def __init__(self, leases: Path, *, lease_s: float, max_deliveries: int) -> None:
        self._leases = leases
        self.lease_s = lease_s
        self._max_deliveries = max_deliveries
        self._lease: Lease | None = None
        self._suspects: dict[int, float] = {}  # id of a living peer whose time has passed → the time we read
        self.holder: int | None = None
        self._queues: list[str] = []
        self._names = "[]"  # the same, as it is stored

    def enlist(self, batch: Batch, queues: list[str]) -> int:
        """Make sure that our row and our lease exist and name these queues; returns our id.

        After a freeze others may have declared us lost. Then we come back under a new id, and what we held is theirs.
        """
        if self.holder is not None and self._row_stands(batch, queues):
            return self.holder
        if self._lease is not None:
            logger.warning("This process was taken for lost; what it held has been given to others.")
            self._lease.release()
        # The lease comes before the row: a row without a locked lease is a dead process to everybody else.
        self._lease = Lease(self._leases)
        cursor = batch.connection.execute(
            "INSERT INTO broker_workers (lease, pid, host, started_ms, queues) VALUES (?, ?, ?, ?, ?)",
            (self._lease.path.name, os.getpid(), socket.gethostname(), batch.now_ms, json.dumps(queues)),
        )
        assert cursor.lastrowid is not None
        self.holder = cursor.lastrowid
        return self.holder

    def beat(self, *, holding: bool) -> None:
        """Extend our lease, if it is time to, while we hold messages; let it rest when we do not.

        So that an idle process need not wake up.
        """
        if self._lease is not None and self.next_beat_s(holding=holding) == 0.0:
            self._lease.extend(time.monotonic() + self.lease_s if holding else 0.0)

    def publish(self, line: str) -> None:
        """Show a line to whoever looks at our lease."""
        if self._lease is not None:
            self._lease.publish(line)

    def next_beat_s(self, *, holding: bool) -> float | None:
        """Return in how many seconds the lease must be extended: at a third of its time."""
        if self._lease is None:
            return None
        if not holding:
            return 0.0 if self._lease.expires_s else None
        return max(0.0, self._lease.expires_s - self.lease_s * 2 / 3 - time.monotonic())

    def lost(self, peers: list[Peer]) -> list[Peer]:
        """Return the peers that are dead, or frozen past their time."""
        now_s = time.monotonic()
        found = [peer for peer in peers if peer.id != self.holder and self._is_lost(peer, now_s)]
        self._suspects = {id_: at for id_, at in self._suspects.items() if any(peer.id == id_ for peer in peers)}
        return found

    def sweep(self, batch: Batch, peers: list[Peer]) -> None:
        """Give back what lost peers held, and strike them off."""
        for peer in peers:
            pulse = feel(self._leases / peer.lease)
            if pulse.alive and not pulse.expired(time.monotonic()):
                continue  # it came back while we waited for the gate
            batch.reclaim(peer.id, self._max_deliveries)
            batch.connection.execute("DELETE FROM broker_workers WHERE id = ?", (peer.id,))
            if not pulse.alive:
                (self._leases / peer.lease).unlink(missing_ok=True)
            logger.warning(
                "Process %d %s; its messages go to others.",
                peer.pid,
                "froze" if pulse.alive else "died",
                extra={"lost_pid": peer.pid, "frozen": pulse.alive},
            )

    def leave(self, batch: Batch) -> None:
        """Give back whatever we still hold and strike ourselves off."""
        if self.holder is not None:
            batch.reclaim(self.holder, sys.maxsize)
            batch.connection.execute("DELETE FROM broker_workers WHERE id = ?", (self.holder,))

    def release(self) -> None:
        """Let go of the lease, after `leave` has been committed."""
        if self._lease is not None:
            self._lease.release()
        self._lease = self.holder = None

    def forget(self) -> None:
        """Drop the parent's lease in a forked child."""
        if self._lease is not None:
            self._lease.forget()
        self._lease = self.holder = None

    def _row_stands(self, batch: Batch, queues: list[str]) -> bool:
        row = batch.connection.execute("SELECT queues FROM broker_workers WHERE id = ?", (self.holder,)).fetchone()
        if queues != self._queues:
            self._queues, self._names = queues, json.dumps(queues)
        names = self._names
        if row is not None and row[0] != names:
            batch.connection.execute("UPDATE broker_workers SET queues = ? WHERE id = ?", (names, self.holder))
        return row is not None

    def _is_lost(self, peer: Peer, now_s: float) -> bool:
        pulse: Pulse = feel(self._leases / peer.lease)
        if not pulse.alive:
            return True
        if not pulse.expired(now_s):
            self._suspects.pop(peer.id, None)
            return False
        # Seen twice with the same time: it had the chance to extend in between. One look is not enough, because both
        # of us may have stood before a gate that a third process kept shut.
        seen_before = self._suspects.get(peer.id) == pulse.expires_s
        self._suspects[peer.id] = pulse.expires_s
        return seen_before

    @property
    def suspicious(self) -> bool:
        """Whether a second look is due soon."""
        return bool(self._suspects)
