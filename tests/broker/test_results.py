"""Results of actors in the database: values, waiting, expiry, other processes, interruptions."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq import Message, PickleEncoder, group, pipeline
from dramatiq.results import ResultFailure, ResultMissing, Results, ResultTimeout

from broker import NotJoined, SchemaTooNew, SqliteBroker
from broker.debug import awaits_notification
from broker.engine.notifications import ChannelWaiter
from broker.results import PURGED_PER_WRITE, DatabaseResultBackend
from tests.broker.conftest import MakeResults, TableClock, open_database, working
from tests.broker.other_process import interrupted, other_process
from tests.support.waiting import wait_for

MINUTE_MS = 60_000
ON_EVERY_ENGINE = True
WOKEN_S = 10.0  # measured: 1 ms; without a notification it would be 30 s, without inotify 0.25 s


def message(name: str = "1") -> Message[Any]:
    return Message("default", "work", (), {}, {}, message_id=name)


@contextmanager
def waiting(results: DatabaseResultBackend, name: str = "1", timeout_ms: int = 60_000) -> Iterator[list[object]]:
    """Run a block while a thread waits for a result; yields a list that has the result after the block.

    Ends long before `timeout_ms` and the 30 s after which the thread would read the tables without a notification.
    """
    found: list[object] = []
    ask = partial(results.get_result, message(name), block=True, timeout=timeout_ms)
    thread = threading.Thread(target=lambda: found.append(ask()), daemon=True)
    thread.start()
    wait_for(lambda: awaits_notification(thread), "a thread that waits for the result")
    yield found
    thread.join(WOKEN_S)
    assert not thread.is_alive()


def row_count(place: str) -> int:
    with open_database(place) as connection:
        count: int = connection.execute("SELECT count(*) FROM broker_results").fetchone()[0]
    return count


def test_nothing_is_a_result_too(results: DatabaseResultBackend) -> None:
    with pytest.raises(ResultMissing):
        results.get_result(message())
    results.store_result(message(), None, MINUTE_MS)
    assert results.get_result(message()) is None
    assert results.get_result(message(), block=True, timeout=0) is None


def test_an_error_of_the_actor_comes_out_as_a_failure(results: DatabaseResultBackend) -> None:
    results.store_exception(message(), ValueError("too short"), MINUTE_MS)
    with pytest.raises(ResultFailure, match="ValueError: too short"):
        results.get_result(message())


def test_a_later_result_replaces_an_earlier_one(results: DatabaseResultBackend, place: str) -> None:
    results.store_result(message(), "first", 1)
    results.store_result(message(), "second", MINUTE_MS)
    assert results.get_result(message()) == "second"
    assert row_count(place) == 1


def test_any_bytes_of_an_encoder_come_back(make_results: MakeResults) -> None:
    results = make_results(encoder=PickleEncoder())
    results.store_result(message(), {b"\xff\x00", 1.5}, MINUTE_MS)
    assert results.get_result(message()) == {b"\xff\x00", 1.5}


def test_namespaces_keep_apart(results: DatabaseResultBackend, make_results: MakeResults) -> None:
    other = make_results(namespace="other", use_namespace_prefix_keys=True)
    results.store_result(message(), 1, MINUTE_MS)
    other.store_result(message(), 2, MINUTE_MS)
    assert (results.get_result(message()), other.get_result(message())) == (1, 2)


@pytest.mark.parametrize("timeout_ms", [0, 20, 250])
def test_short_timeouts_hold(results: DatabaseResultBackend, timeout_ms: int) -> None:
    with pytest.raises(ResultMissing):
        results.get_result(message())
    started = time.monotonic()
    with pytest.raises(ResultTimeout):
        results.get_result(message(), block=True, timeout=timeout_ms)
    waited_ms = (time.monotonic() - started) * 1000
    assert timeout_ms <= waited_ms < timeout_ms + 200  # measured: 1 to 6 ms late


def test_results_expire(results: DatabaseResultBackend, clock: TableClock) -> None:
    results.store_result(message(), 1, MINUTE_MS)
    clock.advance(30)
    assert results.get_result(message()) == 1
    clock.advance(30)
    with pytest.raises(ResultMissing):
        results.get_result(message())


def test_expired_results_do_not_pile_up(results: DatabaseResultBackend, place: str, clock: TableClock) -> None:
    for number in range(100):
        results.store_result(message(str(number)), number, 1000)
    clock.advance(1)
    results.store_result(message("last"), 1, MINUTE_MS)
    assert row_count(place) == 101 - PURGED_PER_WRITE
    assert results.purge() == 100 - PURGED_PER_WRITE
    assert row_count(place) == 1


def test_who_waits_is_woken_by_this_process(results: DatabaseResultBackend) -> None:
    with waiting(results) as found:
        results.store_result(message(), 42, MINUTE_MS)
    assert found == [42]


def test_who_waits_is_woken_by_another_process(results: DatabaseResultBackend, place: str) -> None:
    program = """
        from dramatiq import Message
        results = ResultBackend(place)
        question, answer = (Message("default", "work", (), {}, {}, message_id=name) for name in ("question", "answer"))
        results.store_result(answer, "early", 0)
        value = announced(lambda: results.get_result(question, block=True, timeout=60_000))
        results.store_result(answer, value + 1, 60_000)
    """
    with other_process(program, place) as other:
        assert other.line() == "waiting"
        with waiting(results, "answer") as found:
            results.store_result(message("question"), 41, MINUTE_MS)
    assert found == [42]


def test_waiting_does_not_look_at_the_tables_in_vain(path: Path) -> None:
    looks: list[float] = []
    waiter = ChannelWaiter(path.parent / "bells")
    assert waiter.wait(lambda: looks.append(0.0), ".results-00", 1.3) is None
    waiter.close()
    assert len(looks) == 2  # in the beginning and in the end


def test_many_threads_wait_for_a_result_each(results: DatabaseResultBackend) -> None:
    """More than there may be inotify instances a user: they share one."""
    names = [str(number) for number in range(150)]
    with ExitStack() as threads:
        found = [threads.enter_context(waiting(results, name)) for name in names]
        for name in names:
            results.store_result(message(name), name, MINUTE_MS)
    assert found == [[name] for name in names]


def test_a_bell_that_is_deleted_is_hung_up_again(results: DatabaseResultBackend, path: Path) -> None:
    with waiting(results) as found:
        [channel] = (path.with_name(path.name + "-broker") / "bells").iterdir()
        channel.unlink()
        wait_for(channel.exists, "the channel, made again")
        results.store_result(message(), 42, MINUTE_MS)
    assert found == [42]


@pytest.mark.sqlite_only("inotify wakes those that wait for a file")
def test_without_inotify_the_tables_are_looked_at(
    results: DatabaseResultBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(channels: Path) -> None:
        raise OSError("no inotify here")

    monkeypatch.setattr("broker.engine.notifications.Listener", none)
    with waiting(results) as found:
        results.store_result(message(), 42, MINUTE_MS)
    assert found == [42]


def test_closing_while_somebody_waits_leaves_him_waiting(results: DatabaseResultBackend) -> None:
    with waiting(results) as found:
        results.close()
        results.store_result(message(), 42, MINUTE_MS)
    assert found == [42]


def test_a_closed_backend_opens_again(results: DatabaseResultBackend) -> None:
    results.store_result(message(), 1, MINUTE_MS)
    results.close()
    results.close()
    assert results.get_result(message()) == 1


def test_a_forked_child_stores_what_its_parent_waits_for(results: DatabaseResultBackend) -> None:
    with pytest.raises(ResultTimeout):
        results.get_result(message(), block=True, timeout=10)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)
        results.store_result(message(), "from the child", MINUTE_MS)
        answered = results.get_result(message("2"), block=True) == "from the parent"
        results.close()
        os._exit(0 if answered else 1)
    with waiting(results) as found:
        os.write(writing, b"x")
    assert found == ["from the child"]
    results.store_result(message("2"), "from the parent", MINUTE_MS)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    os.close(reading)
    os.close(writing)


def test_an_interruption_does_not_keep_a_result_from_being_stored(results: DatabaseResultBackend, place: str) -> None:
    results.store_result(message(), "earlier", MINUTE_MS)
    assert interrupted(place, lambda: results.store_result(message(), "finished", MINUTE_MS))
    assert results.get_result(message()) == "finished"


def test_storing_inside_an_open_transaction_is_refused(
    results: DatabaseResultBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for itself."""
    monkeypatch.setattr("broker.storage.database.BUSY_TIMEOUT_S", 0.1)
    broker = SqliteBroker(path)
    results.store_result(message(), 1, MINUTE_MS)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, broker.write_lock:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotJoined):
            results.store_result(message(), 2, MINUTE_MS)
        assert results.get_result(message()) == 1
        connection.execute("ROLLBACK")
    broker.close()


def test_tables_of_a_newer_package_are_left_alone(results: DatabaseResultBackend, place: str) -> None:
    results.store_result(message(), 1, MINUTE_MS)
    results.close()
    with open_database(place) as connection:
        connection.execute("UPDATE broker_backend_schema SET version = 99")
    with pytest.raises(SchemaTooNew):
        results.get_result(message())


def test_pipelines_and_groups_of_one_database_have_results(
    broker: SqliteBroker, results: DatabaseResultBackend
) -> None:
    broker.add_middleware(Results(backend=results, store_results=True))  # type: ignore[no-untyped-call]  # dramatiq's

    @dramatiq.actor
    def double(number: int) -> int:
        return number * 2

    chain = pipeline([double.message(3), double.message_with_options()])
    crowd = group([double.message(number) for number in range(20)])  # type: ignore[no-untyped-call]  # dramatiq's
    with working(broker):
        chain.run()  # type: ignore[no-untyped-call]  # dramatiq's
        assert chain.get_result(block=True) == 12  # type: ignore[no-untyped-call]  # dramatiq's
        assert list(chain.get_results(block=True)) == [6, 12]  # type: ignore[no-untyped-call]  # dramatiq's
        crowd.run()  # type: ignore[no-untyped-call]  # dramatiq's
        assert list(crowd.get_results(block=True)) == [number * 2 for number in range(20)]  # type: ignore[no-untyped-call]  # dramatiq's
