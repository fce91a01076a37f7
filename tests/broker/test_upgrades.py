"""Files of older versions are migrated in place, with their messages."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import dramatiq
import pytest
from dramatiq import Message

from broker import SqliteBroker
from broker.storage.schema import MESSAGE_SCHEMA
from tests.broker.conftest import working

COLUMNS = (
    "queue, state, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts, holder, claim"
)


def leave_old_file(path: Path, version: int) -> None:
    """A file with a ready, a delayed, a leased and a dead message, as that version of the package wrote them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        MESSAGE_SCHEMA.migrate(connection, to=version)
        connection.execute(
            "INSERT INTO broker_workers (id, lease, pid, host, started_ms, queues) VALUES (7, 'gone', 1, 'h', 0, '[]')"
        )
        for number, (state, holder, claim) in enumerate([(0, None, None), (1, None, None), (2, 7, 1)]):
            body = Message("default", "note", (number,), {}, {}, message_id=f"m{number}").encode()
            connection.execute(
                f"INSERT INTO broker_messages ({COLUMNS}) VALUES ('default', ?, 0, 0, ?, 'note', ?, 0, 0, 0, ?, ?)",  # noqa: S608
                (state, f"m{number}", body, holder, claim),
            )
        connection.execute(
            "INSERT INTO broker_dead (queue, broker_priority, actor_priority, message_id, actor, body, sent_ms,"
            " died_ms, attempts, error) VALUES ('default', 0, 0, 'm3', 'note', x'00', 0, 1, 1, 'ValueError: x')"
        )
        connection.execute("COMMIT")


@pytest.mark.parametrize("version", range(1, MESSAGE_SCHEMA.latest))
def test_an_older_file_is_brought_up_to_date_with_its_messages(path: Path, version: int) -> None:
    leave_old_file(path, version)
    broker = SqliteBroker(path)
    dramatiq.set_broker(broker)
    seen: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    with working(broker):
        broker.join("default", timeout=10_000)
    assert sorted(seen) == [0, 1, 2]
    assert [letter.message_id for letter in broker.admin.dead_letters()] == ["m3"]
    broker.close()
    with closing(sqlite3.connect(path)) as connection:
        assert MESSAGE_SCHEMA.version(connection) == MESSAGE_SCHEMA.latest


@pytest.mark.parametrize("version", range(1, MESSAGE_SCHEMA.latest))
def test_an_upgraded_file_has_the_tables_of_a_new_one(version: int) -> None:
    with closing(sqlite3.connect(":memory:")) as old, closing(sqlite3.connect(":memory:")) as new:
        MESSAGE_SCHEMA.migrate(old, to=version)
        MESSAGE_SCHEMA.migrate(old)
        MESSAGE_SCHEMA.migrate(new)
        query = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
        assert old.execute(query).fetchall() == new.execute(query).fetchall()


@pytest.mark.parametrize("version", range(1, MESSAGE_SCHEMA.latest))
def test_many_processes_may_find_an_older_file_at_once(path: Path, version: int) -> None:
    leave_old_file(path, version)
    brokers = [SqliteBroker(path) for _ in range(4)]
    threads = [threading.Thread(target=broker.admin.queue_stats) for broker in brokers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(broker.admin.queue_stats()[0].dead == 1 for broker in brokers)
    for broker in brokers:
        broker.close()
