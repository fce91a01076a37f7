"""A waiting message can be cancelled; a running one, too, on request."""

from __future__ import annotations

import threading
from pathlib import Path

import dramatiq
import pytest
from dramatiq.results import ResultFailure, Results

from broker import Cancelled, SqliteBroker
from broker.__main__ import main as command
from broker.results import DatabaseResultBackend
from tests.broker.conftest import MakeBroker, stay, working
from tests.support.waiting import TIMEOUT_S, wait_for

ON_EVERY_ENGINE = True


def test_waiting_and_delayed_messages_are_cancelled_by_their_id(broker: SqliteBroker) -> None:
    seen: list[str] = []

    @dramatiq.actor
    def note(name: str) -> None:
        seen.append(name)

    waiting, delayed = note.send("waiting"), note.send_with_options(args=("delayed",), delay=60_000)
    note.send("stays")
    assert broker.admin.cancel(waiting.message_id)
    assert broker.admin.cancel(delayed.message_id)
    assert not broker.admin.cancel(waiting.message_id)
    with working(broker):
        broker.join("default", timeout=5000)
    assert seen == ["stays"]
    assert broker.admin.dead_letters() == []


@pytest.mark.logs_errors("dramatiq")
def test_a_running_message_cannot_be_cancelled_but_its_retry_can(broker: SqliteBroker) -> None:
    begun, go = threading.Event(), threading.Event()

    @dramatiq.actor(min_backoff=60_000)
    def fail() -> None:
        begun.set()
        go.wait(TIMEOUT_S)
        raise ValueError("on purpose")

    with working(broker):
        message = fail.send()
        assert begun.wait(TIMEOUT_S)
        assert not broker.admin.cancel(message.message_id)
        go.set()
        while not broker.admin.cancel(message.message_id):
            assert broker.admin.queue_stats()[0].leased or broker.admin.queue_stats()[0].delayed
        broker.join("default", timeout=5000)


def test_cancelling_a_unique_message_frees_its_key(broker: SqliteBroker) -> None:
    @dramatiq.actor(unique_for=60)
    def note() -> None:
        pass

    assert broker.admin.cancel(note.send().message_id)
    note.send()
    assert broker.get_queue_message_counts("default") == (1, 0, 0)


def test_the_command_says_what_it_could_not_cancel(
    broker: SqliteBroker, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @dramatiq.actor
    def note() -> None:
        pass

    message = note.send()
    assert command([str(path), "cancel", message.message_id]) == 0
    assert command([str(path), "cancel", message.message_id]) == 1
    assert message.message_id in capsys.readouterr().err


def torn_out(broker: SqliteBroker, operator: SqliteBroker) -> list[str]:
    """Run an actor that only ends when it is interrupted, and abort it; return what it noted."""
    begun = threading.Event()
    noted: list[str] = []

    @dramatiq.actor
    def work() -> None:
        noted.append("begun")
        begun.set()
        try:
            stay()
        except Cancelled:
            noted.append("cleaned up")
            raise

    with working(broker):
        message = work.send()
        assert begun.wait(10)
        assert operator.admin.cancel(message.message_id, abort=True)
        broker.join("default", timeout=10_000)
        assert not operator.admin.cancel(message.message_id, abort=True)
    return noted


def test_a_running_message_is_torn_out_of_its_actor_from_another_process(
    broker: SqliteBroker, make_broker: MakeBroker
) -> None:
    """A second broker stands for the other process. Neither a retry nor a dead letter is left."""
    operator = make_broker()
    assert torn_out(broker, operator) == ["begun", "cleaned up"]
    assert broker.admin.dead_letters() == []
    assert broker.get_queue_message_counts("default") == (0, 0, 0)
    operator.close()


def test_a_thread_works_on_after_its_message_was_cancelled(broker: SqliteBroker) -> None:
    seen: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    torn_out(broker, broker)
    with working(broker, threads=1):
        for number in range(3):
            note.send(number)
        broker.join("default", timeout=10_000)
    assert seen == [0, 1, 2]


def test_a_cancelled_message_does_not_run_again_whatever_its_actor_raises(broker: SqliteBroker) -> None:
    """Its retry would be the same message."""
    begun = threading.Event()
    runs: list[int] = []

    @dramatiq.actor(min_backoff=1, max_backoff=1)
    def fail() -> None:
        runs.append(1)
        begun.set()
        try:
            stay()
        except Cancelled as cancelled:
            raise ValueError("cleaning up failed, too") from cancelled

    with working(broker):
        message = fail.send()
        assert begun.wait(10)
        assert broker.admin.cancel(message.message_id, abort=True)
        broker.join("default", timeout=10_000)
    assert runs == [1]
    assert broker.admin.dead_letters() == []


def test_who_waits_for_the_result_of_a_cancelled_message_is_told(
    broker: SqliteBroker, results: DatabaseResultBackend
) -> None:
    broker.add_middleware(Results(backend=results))  # type: ignore[no-untyped-call]  # dramatiq's
    begun = threading.Event()

    @dramatiq.actor(store_results=True)
    def work() -> None:
        begun.set()
        stay()

    with working(broker):
        message = work.send()
        assert begun.wait(10)
        assert broker.admin.cancel(message.message_id, abort=True)
        with pytest.raises(ResultFailure, match="Cancelled"):
            message.get_result(block=True, timeout=10_000)


def test_a_message_that_waits_for_a_thread_is_skipped(broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claimed ahead because somebody has set a prefetch, it is held, but no thread has begun it."""
    monkeypatch.setattr("dramatiq.worker.QUEUE_PREFETCH", 4)
    begun, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    @dramatiq.actor
    def note(name: str) -> None:
        seen.append(name)
        begun.set()
        assert go_on.wait(10)

    with working(broker, threads=1):
        note.send("first")
        assert begun.wait(10)
        held = note.send("held")
        wait_for(lambda: broker.admin.queue_stats()[0].leased == 2)
        assert not broker.admin.cancel(held.message_id)
        assert broker.admin.cancel(held.message_id, abort=True)
        go_on.set()
        broker.join("default", timeout=10_000)
    assert seen == ["first"]
    assert broker.admin.dead_letters() == []


def test_a_cancelled_message_whose_process_dies_does_not_come_back(
    broker: SqliteBroker, make_broker: MakeBroker
) -> None:
    @dramatiq.actor(unique_for=60)
    def note() -> None:
        pass

    operator = make_broker()
    message = note.send()
    held = next(broker.consume("default", timeout=5000))
    assert held is not None
    assert operator.admin.cancel(message.message_id, abort=True)
    broker.close()  # gives back what it holds, as others would take it from a dead process
    assert operator.get_queue_message_counts("default") == (0, 0, 0)
    assert operator.admin.queue_stats() == []
    note.send()
    assert operator.get_queue_message_counts("default") == (1, 0, 0)  # its unique key is free
    operator.close()


def test_the_command_aborts(broker: SqliteBroker, path: Path) -> None:
    begun = threading.Event()

    @dramatiq.actor
    def work() -> None:
        begun.set()
        stay()

    with working(broker):
        message = work.send()
        assert begun.wait(10)
        assert command([str(path), "cancel", message.message_id]) == 1
        assert command([str(path), "cancel", message.message_id, "--abort"]) == 0
        broker.join("default", timeout=10_000)
