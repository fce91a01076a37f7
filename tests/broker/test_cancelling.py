"""A message that nobody has begun can be taken back; one that is running cannot."""

from __future__ import annotations

import threading
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker
from broker.__main__ import main as command
from tests.broker.conftest import working


def test_waiting_and_delayed_messages_are_cancelled_by_their_id(broker: SqliteBroker) -> None:
    seen: list[str] = []

    @dramatiq.actor
    def note(name: str) -> None:
        seen.append(name)

    waiting, delayed = note.send("waiting"), note.send_with_options(args=("delayed",), delay=60_000)
    note.send("stays")
    assert broker.cancel(waiting.message_id)
    assert broker.cancel(delayed.message_id)
    assert not broker.cancel(waiting.message_id)
    with working(broker):
        broker.join("default", timeout=5000)
    assert seen == ["stays"]
    assert broker.dead_letters() == []


def test_a_running_message_cannot_be_cancelled_but_its_retry_can(broker: SqliteBroker) -> None:
    begun, go = threading.Event(), threading.Event()

    @dramatiq.actor(min_backoff=60_000)
    def fail() -> None:
        begun.set()
        go.wait(10)
        raise ValueError("on purpose")

    with working(broker):
        message = fail.send()
        assert begun.wait(5)
        assert not broker.cancel(message.message_id)
        go.set()
        while not broker.cancel(message.message_id):
            assert broker.queue_stats()[0].leased or broker.queue_stats()[0].delayed
        broker.join("default", timeout=5000)


def test_cancelling_a_unique_message_frees_its_key(broker: SqliteBroker) -> None:
    @dramatiq.actor(unique_for=60)
    def note() -> None:
        pass

    assert broker.cancel(note.send().message_id)
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
