"""A dead process is pruned at once, a frozen one after two checks, and one that continues in time is not."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker.engine.batch import WriteBatch
from broker.engine.processes import LeaseFile, ProcessRegistry, RegisteredProcess
from broker.storage.schema import MESSAGE_SCHEMA

OTHER_ID = 7


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[LeaseFile]:
    lease = LeaseFile(tmp_path)
    yield lease
    lease.release()


@pytest.fixture
def ours(tmp_path: Path) -> ProcessRegistry:
    return ProcessRegistry(tmp_path, lease_s=60.0, max_deliveries=10)


def other(lease: LeaseFile) -> RegisteredProcess:
    return RegisteredProcess(OTHER_ID, lease.path.name, os.getpid())


def test_a_frozen_process_is_lost_when_seen_twice_with_the_same_time(lease: LeaseFile, ours: ProcessRegistry) -> None:
    lease.extend(time.monotonic() - 1)
    assert ours.lost([other(lease)]) == []
    assert ours.next_look_s(30.0) == 15.0
    assert ours.lost([other(lease)]) == [other(lease)]


def test_a_process_that_extends_between_two_looks_is_not_lost(lease: LeaseFile, ours: ProcessRegistry) -> None:
    """Both may have waited for the write lock of a third process; the other one's heartbeat comes a moment later."""
    lease.extend(time.monotonic() - 2)
    assert ours.lost([other(lease)]) == []
    lease.extend(time.monotonic() - 1)  # late again, but it lives
    assert ours.lost([other(lease)]) == []
    lease.extend(time.monotonic() + 60)
    assert ours.lost([other(lease)]) == []
    assert ours.next_look_s(30.0) == 30.0


def test_a_process_that_comes_back_before_it_is_swept_keeps_what_it_holds(
    lease: LeaseFile, ours: ProcessRegistry
) -> None:
    lease.extend(time.monotonic() - 1)
    ours.lost([other(lease)])
    lost = ours.lost([other(lease)])
    with closing(sqlite3.connect(":memory:")) as connection:
        MESSAGE_SCHEMA.migrate(connection)
        connection.execute(
            "INSERT INTO broker_workers (id, lease, pid, host, started_ms, queues) VALUES (?, ?, 1, 'h', 0, '[]')",
            (OTHER_ID, lease.path.name),
        )
        lease.extend(time.monotonic() + 60)
        ours.prune(WriteBatch(connection, now_ms=0), lost)
        assert connection.execute("SELECT id FROM broker_workers").fetchall() == [(OTHER_ID,)]
        lease.extend(time.monotonic() - 1)
        ours.prune(WriteBatch(connection, now_ms=0), lost)
        assert connection.execute("SELECT id FROM broker_workers").fetchall() == []
