"""Misuse of the broker: still no message is lost, duplicated or stuck."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq import Retry, Worker

from broker import SqliteBroker, SqliteRateLimiterBackend, SqliteResultBackend, WriteLock
from broker.debug import BrokerDebug, is_blocked
from broker.engine.batch import WriteBatch
from broker.engine.processes import read_lease
from broker.errors import DatabaseReplaced, DatabaseUnavailable
from broker.storage.database import Database
from broker.storage.queue import Entry
from tests.broker.conftest import SOONER_THAN_A_POLL_S, TableClock, wait_until_idle, working
from tests.support.waiting import wait_for

JOIN_MS = 10_000


FRAME = '{{"queue_name": "default", "actor_name": {}, "args": [], "kwargs": {{}}, "options": {}}}'


@pytest.mark.parametrize("make", [SqliteBroker, SqliteResultBackend, SqliteRateLimiterBackend, WriteLock])
@pytest.mark.parametrize("url", ["postgresql+psycopg://me:secret@127.0.0.1:5432/queue", "sqlite:///queue.sqlite3"])
def test_a_url_is_no_file_and_makes_no_directory(
    make: Callable[[str | Path], object], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as a `Path`, which makes one slash of two."""
    monkeypatch.chdir(tmp_path)
    for path in (url, Path(url)):
        with pytest.raises(ValueError, match="a URL is no path") as refused:
            make(path)
        assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.logs_errors("broker")
@pytest.mark.parametrize("body", ["[]", "null", "{}", FRAME.format('"note"', "null"), FRAME.format("[]", "{}")])
def test_bytes_that_decode_to_no_message_are_dead_lettered_and_can_be_listed(broker: SqliteBroker, body: str) -> None:
    seen: list[str] = []

    @dramatiq.actor
    def note(name: str) -> None:
        seen.append(name)

    BrokerDebug(broker).write(lambda batch: batch.store([Entry("default", "x", "note", body.encode(), 0, 0, 1, None)]))
    assert len(broker.admin.peek("default")) == 1
    note.send("the next")
    with working(broker):
        broker.join("default", timeout=JOIN_MS)
    assert seen == ["the next"]
    [letter] = broker.admin.dead_letters()
    assert letter.args == ()
    assert broker.admin.retry_dead_letter(letter.id)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise KeyError("text")


@pytest.mark.parametrize("error", [Unspeakable(), ValueError("film-\udcff.mp4")])
def test_an_error_whose_text_cannot_be_stored_is_dead_lettered_all_the_same(
    broker: SqliteBroker, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "dramatiq")  # pytest-xdist cannot carry a lone surrogate in captured output

    @dramatiq.actor(max_retries=0)
    def fail() -> None:
        raise error

    fail.send()
    with working(broker):
        broker.join("default", timeout=JOIN_MS)
    [letter] = broker.admin.dead_letters()
    assert letter.error.startswith(type(error).__name__)


def test_a_retry_that_cannot_be_stored_does_not_leave_its_message_stuck(broker: SqliteBroker) -> None:
    @dramatiq.actor
    def wait_for_ever() -> None:
        raise Retry("later", delay=10**20)

    wait_for_ever.send()
    with working(broker):
        broker.join("default", timeout=JOIN_MS)
    [letter] = broker.admin.dead_letters()
    assert "OverflowError" in letter.error


@pytest.mark.logs_errors("dramatiq")
def test_a_retry_is_stored_although_its_key_is_another_message_s_by_now(
    broker: SqliteBroker, clock: TableClock
) -> None:
    """A key may run out while its message is being worked on, and then be taken by the next one."""
    attempts: list[str] = []

    @dramatiq.actor(unique_for=60, unique_key="only", max_retries=1, min_backoff=0, max_backoff=0)
    def work(name: str) -> None:
        attempts.append(name)
        if attempts == ["first"]:
            clock.advance(60)
            work.send("second")
            raise RuntimeError("once more")

    work.send("first")
    with working(broker, threads=1):
        broker.join("default", timeout=JOIN_MS)
    assert sorted(attempts) == ["first", "first", "second"]


def test_a_worker_goes_on_when_another_one_of_its_process_stops(broker: SqliteBroker) -> None:
    done = threading.Event()

    @dramatiq.actor
    def work() -> None:
        done.set()

    with working(broker, threads=1):
        other = Worker(broker, worker_threads=1, worker_timeout=50)
        other.start()
        wait_for(lambda: BrokerDebug(broker).waiting("default") == 2, "consumers of both workers")
        other.stop()
        work.send()
        assert done.wait(SOONER_THAN_A_POLL_S)


@pytest.mark.logs_errors("broker")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_taken_away_is_made_anew(broker: SqliteBroker, path: Path, replaced: bool) -> None:
    """Whoever deletes the file loses what was in it, but nothing that is accepted afterwards."""
    seen: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    with working(broker):
        note.send(1)
        broker.join("default", timeout=JOIN_MS)
        for file in path.parent.glob(path.name + "*"):
            if file.is_file() and not file.name.endswith("-gate"):
                file.unlink()
        if replaced:
            other = SqliteBroker(path)
            other.declare_queue("default")
            other.get_queue_message_counts("default")
            other.close()
        note.send(2)
        broker.join("default", timeout=JOIN_MS)
    assert seen == [1, 2]
    note.send(json.loads("3"))
    fresh = SqliteBroker(path)
    fresh.declare_queue("default")
    assert fresh.get_queue_message_counts("default") == (1, 0, 0)
    fresh.close()


def test_a_look_that_fails_is_repeated_soon(broker: SqliteBroker, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notification arrives once: a failed read must not delay the message until the next poll.

    The thread is busy, so that the tables are read before the message is claimed.
    """
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    @dramatiq.actor
    def block() -> None:
        begun.set()
        assert go_on.wait(10)

    @dramatiq.actor
    def work() -> None:
        done.set()

    with working(broker, threads=1):
        block.send()
        assert begun.wait(10)
        wait_until_idle(broker, "default")
        failures = [DatabaseUnavailable("disk I/O error")]
        read = Database.read

        def fail_once(database: Database, sql: str, *arguments: Any, **options: Any) -> list[Any]:  # Any: passed on
            if failures and "broker_paused" in sql:
                raise failures.pop()
            return read(database, sql, *arguments, **options)

        monkeypatch.setattr(Database, "read", fail_once)
        sender = SqliteBroker(path)
        sender.declare_queue("default")
        sender.enqueue(work.message())
        sender.close()
        wait_for(lambda: failures == [], "a read that fails")
        go_on.set()
        assert done.wait(SOONER_THAN_A_POLL_S)


def test_a_process_that_waited_for_the_write_lock_extends_its_lease_before_others_check(broker: SqliteBroker) -> None:
    """While another process holds the write lock, no lease can be extended; afterwards they race for it."""
    broker.declare_queue("default")
    broker.enqueue(dramatiq.Message("default", "nobody", (), {}, {}))
    message = next(broker.consume("default", timeout=JOIN_MS))
    debug = BrokerDebug(broker)
    lease = debug.lease
    lapsed: list[bool] = []

    def lapsed_inside(batch: WriteBatch) -> bool:
        return read_lease(lease.path).expired(time.monotonic())

    thread = threading.Thread(target=lambda: lapsed.append(debug.write(lapsed_inside)))
    with broker.write_lock:
        thread.start()
        writers = [thread for thread in threading.enumerate() if thread.name == "broker-writer"]
        wait_for(lambda: any(map(is_blocked, writers)), "the writer, waiting for the lock")  # others' writers are idle
        lease.extend(time.monotonic() - 1)
    thread.join()
    assert lapsed == [False]
    assert message is not None  # held until here


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, -(2**63) - 1, 10**100])
def test_a_number_that_sqlite_cannot_hold_finds_nothing(broker: SqliteBroker, number: int) -> None:
    """`sqlite3` raises OverflowError; such an id, from untrusted input, is an unknown id."""
    assert not broker.admin.retry_dead_letter(number)
    assert broker.admin.dead_letters(limit=number, before_id=number) == []
    assert broker.admin.peek("default", limit=number) == []
    assert broker.admin.purge_dead_letters(number) == 0


@pytest.mark.parametrize("taken", ["", "-wal", "-shm"])
def test_a_broker_that_refuses_another_file_writes_to_none(path: Path, taken: str) -> None:
    """For an application whose own tables are in the file: it would find an empty one, or yesterday's."""
    first = SqliteBroker(path)
    first.declare_queue("default")
    first.get_queue_message_counts("default")  # makes the file
    broker = SqliteBroker(path, if_replaced="refuse")
    broker.declare_queue("default")
    note: dramatiq.Message[None] = dramatiq.Message("default", "note", (), {}, {})
    broker.enqueue(note)
    path.with_name(path.name + taken).unlink()
    left = sorted(path.parent.glob(f"{path.name}*"))
    for _ in range(2):
        with pytest.raises(DatabaseReplaced):
            broker.enqueue(note)
        with pytest.raises(DatabaseReplaced):
            broker.get_queue_message_counts("default")
    assert sorted(path.parent.glob(f"{path.name}*")) == left
    broker.close()
    first.close()


def test_a_broker_that_refuses_another_file_makes_none(path: Path) -> None:
    broker = SqliteBroker(path, if_replaced="refuse")
    broker.declare_queue("default")
    with pytest.raises(DatabaseUnavailable):
        broker.enqueue(dramatiq.Message("default", "note", (), {}, {}))
    assert not path.exists()
    broker.close()
