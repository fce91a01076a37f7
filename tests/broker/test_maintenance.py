"""The file shrinks after a backlog, the WAL stays small, dead letters do not stay for ever if told so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from broker.debug import each_connection
from tests.broker.conftest import working
from tests.support.waiting import wait_for

MIB = 1024 * 1024


def big(number: int) -> dramatiq.Message[None]:
    return dramatiq.Message("default", "note", ("x" * 3000, number), {}, {})


def test_a_file_shrinks_after_a_backlog_while_its_worker_lives(path: Path) -> None:
    broker = SqliteBroker(path, poll_interval_s=0.1, synchronous="OFF")
    dramatiq.set_broker(broker)

    @dramatiq.actor
    def note(text: str, number: int) -> None:
        pass

    wal = path.with_name(path.name + "-wal")
    for start in range(0, 6000, 500):
        broker.enqueue_many([big(number) for number in range(start, start + 500)])
        assert wal.stat().st_size <= 16 * MIB
    broker.flush("default")
    grown = path.stat().st_size
    assert grown > 15 * MIB
    with working(broker):
        wait_for(lambda: path.stat().st_size < 6 * MIB)
        note.send("still", 1)
        broker.join("default", timeout=5000)
        assert wal.stat().st_size <= 16 * MIB
    broker.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.logs_errors("dramatiq")
def test_old_dead_letters_are_deleted_by_workers_and_young_ones_are_not(path: Path) -> None:
    broker = SqliteBroker(path, poll_interval_s=0.05, dead_letters_kept_s=3600)
    broker.declare_queue("default")
    with working(broker):
        for _ in range(3):
            broker.enqueue(dramatiq.Message("default", "nobody knows", (), {}, {}))
        broker.join("default", timeout=5000)
        *old, young = broker.admin.dead_letters()
        for count, letter in ((2, old[0]), (1, old[1])):  # twice, because the first run must not delete the young one
            with broker.write_lock, closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("UPDATE broker_dead SET died_ms = died_ms - 3700000 WHERE id = ?", (letter.id,))
            wait_for(lambda: len(broker.admin.dead_letters()) <= count)  # noqa: B023  # called at once
    assert [letter.id for letter in broker.admin.dead_letters()] == [young.id]
    broker.close()


@pytest.mark.logs_errors("dramatiq")
def test_dead_letters_are_kept_unless_told_otherwise(path: Path) -> None:
    statements: list[str] = []

    def runs() -> int:
        return sum("auto_vacuum" in sql for sql in statements)  # each run of the maintenance reads it

    broker = SqliteBroker(path, poll_interval_s=0.05)
    broker.declare_queue("default")
    with each_connection(lambda connection: connection.set_trace_callback(statements.append)), working(broker):
        broker.enqueue(dramatiq.Message("default", "nobody knows", (), {}, {}))
        broker.join("default", timeout=5000)
        with broker.write_lock, closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE broker_dead SET died_ms = 0")
        before = runs()
        wait_for(lambda: runs() >= before + 3, "three runs of the maintenance")
    assert len(broker.admin.dead_letters()) == 1
    broker.close()
