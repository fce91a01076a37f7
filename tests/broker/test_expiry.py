"""A message that nobody began in time goes to the dead letters, and never to a thread."""

from __future__ import annotations

import time

import dramatiq

from broker import SqliteBroker
from tests.broker.conftest import working


def test_what_nobody_began_in_time_becomes_a_dead_letter(broker: SqliteBroker) -> None:
    seen: list[str] = []

    @dramatiq.actor(expires_in=20)
    def note(name: str) -> None:
        seen.append(name)

    note.send("too late")
    note.send_with_options(args=("in time",), expires_in=60_000)
    time.sleep(0.05)
    with working(broker):
        broker.join("default", timeout=5000)
    assert seen == ["in time"]
    [letter] = broker.dead_letters()
    assert (letter.args, letter.error.split(":")[0], letter.attempts) == (("too late",), "Expired", 0)


def test_the_term_of_a_delayed_message_begins_when_it_is_due(broker: SqliteBroker) -> None:
    seen: list[str] = []

    @dramatiq.actor
    def note(name: str) -> None:
        seen.append(name)

    with working(broker):
        note.send_with_options(args=("due later",), delay=200, expires_in=100)
        broker.join("default", timeout=5000)
    assert seen == ["due later"]


def test_an_expired_dead_letter_can_be_sent_again_and_does_not_expire(broker: SqliteBroker) -> None:
    seen: list[int] = []

    @dramatiq.actor(expires_in=0)
    def note() -> None:
        seen.append(1)

    note.send()
    with working(broker):
        broker.join("default", timeout=5000)
        assert seen == []
        broker.retry_dead_letter(broker.dead_letters()[0].id)
        broker.join("default", timeout=5000)
    assert seen == [1]


def test_more_than_are_moved_at_once_are_all_moved(broker: SqliteBroker) -> None:
    broker.declare_queue("default")
    broker.enqueue_many([dramatiq.Message("default", "note", (), {}, {"expires_in": 0}) for _ in range(2500)])
    with working(broker):
        broker.join("default", timeout=10_000)
    assert broker.get_queue_message_counts("default") == (0, 0, 2500)
