"""Who is taken for lost: the dead at once, the frozen when seen twice, nobody who comes back in time."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker.engine.batch import Batch
from broker.engine.lease import Lease
from broker.engine.processes import Patrol, Peer
from broker.storage.schema import ensure_schema

PEER_ID = 7


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[Lease]:
    lease = Lease(tmp_path)
    yield lease
    lease.release()


@pytest.fixture
def patrol(tmp_path: Path) -> Patrol:
    return Patrol(tmp_path, lease_s=60.0, max_deliveries=10)


def peer(lease: Lease) -> Peer:
    return Peer(PEER_ID, lease.path.name, os.getpid())


def test_a_frozen_process_is_lost_when_seen_twice_with_the_same_time(lease: Lease, patrol: Patrol) -> None:
    lease.extend(time.monotonic() - 1)
    assert patrol.lost([peer(lease)]) == []
    assert patrol.suspicious
    assert patrol.lost([peer(lease)]) == [peer(lease)]


def test_a_process_that_extends_between_two_looks_is_not_lost(lease: Lease, patrol: Patrol) -> None:
    """Both may have stood before a gate that a third kept shut, and the other's heartbeat comes a moment later."""
    lease.extend(time.monotonic() - 2)
    assert patrol.lost([peer(lease)]) == []
    lease.extend(time.monotonic() - 1)  # late again, but it lives
    assert patrol.lost([peer(lease)]) == []
    lease.extend(time.monotonic() + 60)
    assert patrol.lost([peer(lease)]) == []
    assert not patrol.suspicious


def test_a_process_that_comes_back_before_it_is_swept_keeps_what_it_holds(lease: Lease, patrol: Patrol) -> None:
    lease.extend(time.monotonic() - 1)
    patrol.lost([peer(lease)])
    lost = patrol.lost([peer(lease)])
    with closing(sqlite3.connect(":memory:")) as connection:
        ensure_schema(connection)
        connection.execute(
            "INSERT INTO broker_workers (id, lease, pid, host, started_ms, queues) VALUES (?, ?, 1, 'h', 0, '[]')",
            (PEER_ID, lease.path.name),
        )
        lease.extend(time.monotonic() + 60)
        patrol.sweep(Batch(connection, now_ms=0), lost)
        assert connection.execute("SELECT id FROM broker_workers").fetchall() == [(PEER_ID,)]
        lease.extend(time.monotonic() - 1)
        patrol.sweep(Batch(connection, now_ms=0), lost)
        assert connection.execute("SELECT id FROM broker_workers").fetchall() == []
