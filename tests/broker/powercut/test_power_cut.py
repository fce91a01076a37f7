"""Power cuts at any moment of a run: the file is intact, usable, and has all committed changes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import BrokerConnectionError
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.results import ResultMissing

from broker import SqliteBroker, SqliteRateLimiterBackend, SqliteResultBackend
from broker.debug import BrokerDebug
from broker.storage.database import Synchronous
from broker.storage.schema import MESSAGE_SCHEMA
from tests.broker.powercut.promises import GONE, Promises, State, cuts
from tests.broker.powercut.recording import Recording, recorded
from tests.broker.test_upgrades import leave_old_file

WAITING, DEAD, WRITTEN = "waiting", "dead", "written"
CHECKPOINT_PAGES = 12  # so that a short life has many checkpoints
SAMPLE = 60  # moments in a fast test; the slow ones take all

Life = Callable[[Recording, Path, Synchronous], None]


@pytest.fixture(autouse=True)
def _often_checkpointed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.storage.database.WAL_PAGES", CHECKPOINT_PAGES)


# Lives.


def send_and_settle(recording: Recording, path: Path, synchronous: Synchronous) -> None:
    """Run all operations on messages, one after the other, with a restart in the middle."""
    broker = SqliteBroker(path, synchronous=synchronous)
    broker.declare_queue("default")
    _send(recording, broker)
    _send_in_transactions(recording, broker, path, synchronous)
    _settle(recording, broker)
    broker.close()  # the WAL is deleted
    consumer = broker.consume("default", prefetch=1, timeout=5000)
    with recording.promised("four", place=GONE):
        consumer.ack(taken(consumer))
    with recording.promised("delayed", place=GONE):
        assert broker.admin.cancel("delayed")
    broker.close()


def _send(recording: Recording, broker: SqliteBroker) -> None:
    for name in ("one", "two", "three", "four", "five"):
        with recording.promised(name, place=WAITING):
            broker.enqueue(message(name))
    with recording.promised("delayed", place=WAITING):
        broker.enqueue(message("delayed"), delay=3_600_000)
    with recording.promised("many 1", "many 2", "many 3", place=WAITING):
        broker.enqueue_many([message(f"many {number}", size=3000) for number in (1, 2, 3)])


def _send_in_transactions(recording: Recording, broker: SqliteBroker, path: Path, synchronous: Synchronous) -> None:
    """Rows of the application's own and messages, committed together; others rolled back together."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        with broker.write_lock:
            connection.execute("CREATE TABLE notes (name TEXT)")
        for name, end in (("kept", "COMMIT"), ("dropped", "ROLLBACK"), ("kept, too", "COMMIT")):
            message_and_row = {"COMMIT": (name,), "ROLLBACK": ()}[end]
            with (
                recording.promised(*message_and_row, place=WAITING),
                recording.promised(*(f"note {name}" for name in message_and_row), place=WRITTEN),
                broker.write_lock,
            ):
                connection.execute("BEGIN IMMEDIATE")
                with broker.joining(connection):
                    connection.execute("INSERT INTO notes VALUES (?)", (f"note {name}",))
                    broker.enqueue(message(name))
                    connection.execute(end)


def _settle(recording: Recording, broker: SqliteBroker) -> None:
    consumer = broker.consume("default", prefetch=5, timeout=5000)
    one, two, three, four, _ = (taken(consumer) for _ in range(5))
    with recording.promised("one", place=GONE):
        consumer.ack(one)
    with recording.promised("two", place=DEAD):
        consumer.nack(two)
    with recording.promised("three", place=DEAD):
        consumer.nack(three)
    consumer.requeue([four])
    three_dead, two_dead = broker.admin.dead_letters()
    with recording.promised("two", place=WAITING):
        broker.admin.retry_dead_letter(two_dead.id)
    with recording.promised(three_dead.message_id, place=GONE):
        broker.admin.purge_dead_letters()


def grow_and_shrink(recording: Recording, path: Path, synchronous: Synchronous) -> None:
    """A backlog, and its pages given back to the disk while the queue is used."""
    broker = SqliteBroker(path, synchronous=synchronous)
    broker.declare_queue("default")
    with recording.promised("kept", place=WAITING):
        broker.enqueue(message("kept"))
    names = [f"backlog {number}" for number in range(20)]
    with recording.promised(*names, place=WAITING):
        broker.enqueue_many([message(name, size=8000) for name in names])
    with recording.promised(*names, "kept", place=GONE):
        broker.flush("default")
    for number in range(4):
        with recording.promised(f"after {number}", place=WAITING):
            broker.enqueue(message(f"after {number}"))
        BrokerDebug(broker).database.shrink(pages=12, spare=0)
    broker.close()


def send_and_work_at_once(recording: Recording, path: Path, synchronous: Synchronous) -> None:
    """Threads send and two brokers consume: requests share commits, also acknowledgements and claims."""
    brokers = [SqliteBroker(path, synchronous=synchronous) for _ in range(2)]
    sent = {f"{thread} {number}": threading.Event() for thread in "abc" for number in range(8)}

    def send(thread: str) -> None:
        for name in [name for name in sent if name.startswith(thread)]:
            with recording.promised(name, place=WAITING):
                brokers[0].enqueue(message(name))
            sent[name].set()

    def work(broker: SqliteBroker) -> None:
        consumer = broker.consume("default", prefetch=3, timeout=300)
        while (got := next(consumer)) is not None:
            assert sent[got.message_id].wait(10)
            place = DEAD if got.message_id.endswith("5") else GONE
            with recording.promised(got.message_id, place=place):
                (consumer.nack if place == DEAD else consumer.ack)(got)

    for broker in brokers:
        broker.declare_queue("default")
    threads = [threading.Thread(target=send, args=(thread,)) for thread in "abc"]
    threads += [threading.Thread(target=work, args=(broker,)) for broker in brokers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for broker in brokers:
        broker.close()


def upgrade(recording: Recording, path: Path, synchronous: Synchronous) -> None:
    """A file of an older version, in a directory that the application has just made, brought up to date."""
    broker = SqliteBroker(path, synchronous=synchronous)
    broker.declare_queue("default")
    with recording.promised("m0", "m1", "m2", place=WAITING), recording.promised("m3", place=DEAD):
        path.parent.mkdir(parents=True)
        leave_old_file(path, MESSAGE_SCHEMA.latest - 1)
        with recording.promised("new", place=WAITING):
            broker.enqueue(message("new"))
    broker.close()


def message(name: str, size: int = 0) -> Message[None]:
    return Message("default", "nobody", ("x" * size,), {}, {}, message_id=name)


def taken(consumer: Consumer) -> MessageProxy:
    got = next(consumer)
    assert got is not None
    return got


# What is left.


def found(path: Path, *, working: bool = True) -> State:
    """Open the files after a cut with a broker, check that they are intact and usable; return the state."""
    with closing(SqliteBroker(path, synchronous="OFF")) as broker:
        broker.declare_queue("default")
        broker.admin.queue_stats()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            names = connection.execute("SELECT message_id, ? FROM broker_messages", (WAITING,)).fetchall()
            names += connection.execute("SELECT message_id, ? FROM broker_dead", (DEAD,)).fetchall()
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'notes'").fetchone():
                names += connection.execute("SELECT name, ? FROM notes", (WRITTEN,)).fetchall()
        state = dict(names)
        assert len(state) == len(names), "something is there twice"
        if working:
            _work_off(broker, path, {name for name, place in state.items() if place == WAITING})
    return state


def _work_off(broker: SqliteBroker, path: Path, waiting: set[str]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE broker_messages SET eta_ms = 0 WHERE state = 1")
    broker.enqueue(message("last"))
    consumer = broker.consume("default", prefetch=1000, timeout=5000)
    got = [taken(consumer) for _ in range(len(waiting) + 1)]
    assert {one.message_id for one in got} == {*waiting, "last"}
    for one in got:
        consumer.ack(one)
    broker.join("default", timeout=1000)


def check(
    life: Life,
    tmp_path: Path,
    synchronous: Synchronous,
    *,
    moments: int | None,
    holds: Callable[[Promises, State], bool] = Promises.allow,
) -> int:
    """Record a run, cut and check; return how many cuts lost changes that FULL would have kept."""
    path = tmp_path / "life" / "made" / "for it" / "queue.sqlite3"
    path.parents[2].mkdir()
    with recorded(path.parents[2]) as recording:
        life(recording, path, synchronous)
    missing = 0
    for number, cut in enumerate(cuts(recording, path, tmp_path / "left", moments=moments)):
        state = found(cut.path, working=number % 4 == 0)
        assert holds(cut.promises, state), f"found {state} {cut}"
        missing += not cut.promises.allow(state)
    return missing


LIVES: list[Life] = [send_and_settle, grow_and_shrink, send_and_work_at_once, upgrade]


@pytest.mark.parametrize("life", LIVES)
def test_a_cut_undoes_nothing_that_was_answered(life: Life, tmp_path: Path) -> None:
    check(life, tmp_path, "FULL", moments=SAMPLE)


@pytest.mark.slow
@pytest.mark.parametrize("life", LIVES)
def test_a_cut_at_any_moment_undoes_nothing_that_was_answered(life: Life, tmp_path: Path) -> None:
    check(life, tmp_path, "FULL", moments=None)


@pytest.mark.slow
def test_with_normal_a_cut_undoes_the_last_changes_only(tmp_path: Path) -> None:
    """The content is that of an earlier moment. Missing changes show that the cuts have an effect."""
    missing = check(send_and_settle, tmp_path, "NORMAL", moments=None, holds=Promises.allow_lost_end)
    assert missing > 100


def test_without_syncs_the_cuts_do_harm(tmp_path: Path) -> None:
    """The check can fail: with OFF messages are lost or the file is damaged."""
    with pytest.raises((AssertionError, sqlite3.DatabaseError, BrokerConnectionError)):
        check(send_and_settle, tmp_path, "OFF", moments=SAMPLE, holds=Promises.allow_lost_end)


# Results and limits.


def limited(limits: SqliteRateLimiterBackend, key: str) -> ConcurrentRateLimiter:
    return ConcurrentRateLimiter(limits, key, limit=1)  # type: ignore[no-untyped-call]  # dramatiq's


def answer(recording: Recording, path: Path, names: list[str]) -> None:
    """Work, store each result at NORMAL, then acknowledge at FULL; a limiter is used meanwhile."""
    broker, results, limits = SqliteBroker(path), SqliteResultBackend(path), SqliteRateLimiterBackend(path)
    broker.declare_queue("default")
    limiter = limited(limits, "key")
    broker.enqueue_many([message(name) for name in names])
    consumer = broker.consume("default", timeout=5000)
    with recording.promised(*names, place=WAITING):
        pass
    for name in names:
        got = taken(consumer)
        with limiter.acquire():
            results.store_result(got, name, 3_600_000)
        with recording.promised(name, place=GONE):
            consumer.ack(got)
    for opened in (broker, results, limits):
        opened.close()


@pytest.mark.parametrize("moments", [SAMPLE, pytest.param(None, marks=pytest.mark.slow)])
def test_no_message_is_gone_whose_result_is_not_there(tmp_path: Path, moments: int | None) -> None:
    path = tmp_path / "life" / "queue.sqlite3"
    path.parent.mkdir()
    names = [str(number) for number in range(8)]
    with recorded(path.parent) as recording:
        answer(recording, path, names)
    results_lost = 0
    for cut in cuts(recording, path, tmp_path / "left", moments=moments):
        state = found(cut.path, working=False)
        if len(cut.promises.kept) == 1:
            continue  # they are still being sent
        assert cut.promises.allow(state), cut
        with closing(SqliteResultBackend(cut.path)) as results, closing(SqliteRateLimiterBackend(cut.path)) as limits:
            for name in names:
                try:
                    assert results.get_result(message(name)) == name
                except ResultMissing:
                    assert name in state, f"message {name} is gone without its result {cut}"
                    results_lost += 1
            with limited(limits, "other key").acquire():
                pass
    assert results_lost > 0
