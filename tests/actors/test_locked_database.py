"""Worker threads and a write lock that others hold: what an actor has done is recorded, and it does not run twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import dramatiq
import pytest
from dramatiq.middleware import CurrentMessage

from actors import locked_database
from actors.locked_database import RetriesUnlessLocked, waits_again
from actors.machine import utc_now
from broker import DatabaseUnavailable as BrokerUnavailable
from broker import ServerUnreachable, SessionLost, SqliteBroker, WriteLock
from broker.errors import TransactionRestart
from files.errors import Gone, Refused, TryLater
from store import DatabaseUnavailable, heartbeats
from store.boot_clock import boot_time
from store.errors import READ_ONLY
from store.sqlite import SqliteStore
from tests.broker.conftest import working
from tests.support.lock_holder import holding_lock
from tests.support.waiting import wait_for


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SqliteBroker]:
    made = SqliteBroker(tmp_path / "store.sqlite3", middleware=[RetriesUnlessLocked(max_retries=0), CurrentMessage()])
    yield made
    made.close()


@pytest.fixture
def store(broker: SqliteBroker, stopping: threading.Event, tmp_path: Path) -> SqliteStore:
    made = SqliteStore(
        tmp_path / "store.sqlite3",
        write_lock=broker.write_lock,
        joining=broker.joining,
        waits_again=waits_again(stopping),
    )
    made.migrate()
    return made


def test_what_an_actor_has_done_is_recorded_after_the_stall(broker: SqliteBroker, store: SqliteStore) -> None:
    """It posts, then another process is stopped with the lock: the actor waits several timeouts and records, once."""
    done: list[str] = []
    claimed, proceed = threading.Event(), threading.Event()

    @dramatiq.actor(broker=broker)
    def post() -> None:
        claimed.set()
        assert proceed.wait(30)
        done.append("posted")
        with store.writing(scope="everything") as connection:
            heartbeats.record(connection, "posted", utc_now(), boot_time())
        done.append("recorded")

    broker.write_lock.timeout_s = 0.1
    refused: list[DatabaseUnavailable] = []

    def refused_to_others() -> bool:
        with pytest.raises(DatabaseUnavailable) as error, store.writing(scope="everything"):
            pass
        refused.append(error.value)
        return len(refused) >= 5

    with working(broker, threads=1):
        post.send()
        assert claimed.wait(30)
        with holding_lock(store.path, stopped=True) as pid:
            proceed.set()
            wait_for(lambda: done == ["posted"], "the post")
            wait_for(refused_to_others, "waits that end")
            assert done == ["posted"]
        broker.join("default", timeout=30_000)
    assert done == ["posted", "recorded"]
    assert {error.reason for error in refused} == {"locked"}
    assert f"process {pid}" in str(refused[0])
    assert "process" not in refused[0].sentence.replace("another process", "")
    store.close()


@pytest.mark.logs_errors("dramatiq")
def test_a_locked_database_is_no_failure_of_the_actor(
    broker: SqliteBroker, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without retries of its own the actor runs again, as often as the database is locked, and nothing is counted."""
    monkeypatch.setattr(locked_database, "RETRY_DELAY_MS", 1)
    runs: list[int] = []

    @dramatiq.actor(broker=broker, max_retries=0)
    def record() -> None:
        message = CurrentMessage.get_current_message()
        assert message is not None
        runs.append(message.options.get("retries", 0))
        if len(runs) < 5:
            raise DatabaseUnavailable("locked", "another process keeps the database locked")

    record.send()
    with working(broker, threads=1):
        broker.join("default", timeout=30_000)
    assert runs == [0] * 5
    assert broker.admin.dead_letters() == []
    store.close()


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (SessionLost("terminating connection due to administrator command"), True),
        (ServerUnreachable("session is read-only"), True),
        (TransactionRestart("cannot execute INSERT in a read-only transaction"), True),
        (DatabaseUnavailable(*READ_ONLY), True),
        (DatabaseUnavailable("disk_full", "the disk is full"), False),
        (BrokerUnavailable("could not extend file: No space left on device"), False),
    ],
)
def test_a_server_that_is_away_uses_up_no_attempt(error: Exception, passes: bool) -> None:
    assert locked_database.is_passing(error) is passes


def test_a_process_that_stops_does_not_wait_again(store: SqliteStore, stopping: threading.Event) -> None:
    waits = waits_again(stopping)
    assert not waits()  # not a worker thread
    stopping.set()
    assert not waits()
    WriteLock(store.path).timeout_s = 0.1
    with holding_lock(store.path):
        with pytest.raises(DatabaseUnavailable, match="held by"), store.writing(scope="everything"):
            pass
        store.close()  # ends, too
    WriteLock(store.path).timeout_s = 30.0
    store.close()


@pytest.mark.logs_errors("dramatiq")
@pytest.mark.parametrize("error", [TryLater("jobs/job/part-001.mp4", "503"), Refused("", "NoSuchBucket")])
def test_a_storage_that_does_not_answer_is_no_failure_of_the_actor(
    broker: SqliteBroker, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An outage of hours leaves no dead letter: the deletion of files goes on afterwards."""
    monkeypatch.setattr(locked_database, "STORAGE_DELAY_MS", 1)
    runs: list[int] = []

    @dramatiq.actor(broker=broker, max_retries=0)
    def delete() -> None:
        runs.append(1)
        if len(runs) < 20:
            raise error

    delete.send()
    with working(broker, threads=1):
        broker.join("default", timeout=30_000)
    assert len(runs) == 20
    assert broker.admin.dead_letters() == []
    store.close()


@pytest.mark.logs_errors("dramatiq")
def test_a_day_without_the_storage_is_a_failure(
    broker: SqliteBroker, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the message would be sent again each minute for ever, and nobody would know."""
    monkeypatch.setattr(locked_database, "STORAGE_DELAY_MS", 1)
    monkeypatch.setattr(locked_database, "MAX_STORAGE_WAITS", 5)
    runs: list[int] = []

    @dramatiq.actor(broker=broker, max_retries=0)
    def delete() -> None:
        runs.append(1)
        raise TryLater("jobs/job/part-001.mp4", "503")

    delete.send()
    with working(broker, threads=1):
        broker.join("default", timeout=30_000)
    assert len(runs) == 6
    assert len(broker.admin.dead_letters()) == 1
    store.close()


@pytest.mark.logs_errors("dramatiq")
def test_a_missing_file_is_a_failure(broker: SqliteBroker, store: SqliteStore) -> None:
    @dramatiq.actor(broker=broker, max_retries=0)
    def read() -> None:
        raise Gone("jobs/job/part-001.mp4", "the storage has no such file")

    read.send()
    with working(broker, threads=1):
        broker.join("default", timeout=30_000)
    assert len(broker.admin.dead_letters()) == 1
    store.close()
