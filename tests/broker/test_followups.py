"""Messages that an actor sends are stored by the commit that ends its own message, or not at all."""

from __future__ import annotations

import dramatiq
import pytest
from dramatiq import Message, Middleware
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Interrupt

from broker import SqliteBroker
from broker.broker import DatabaseBroker
from tests.broker.conftest import working
from tests.support.waiting import wait_for

ON_EVERY_ENGINE = True
JOIN_MS = 10_000


class Afterwards(Middleware):
    """Does something after each run of an actor, as Retries, Pipelines and Callbacks do."""

    def __init__(self, action: object) -> None:
        self.action = action

    def after_process_message(
        self, broker: dramatiq.Broker, message: MessageProxy, *, result: object = None, exception: object = None
    ) -> None:
        assert callable(self.action)
        self.action(message)


def test_follow_ups_and_acknowledgement_are_one_commit(broker: SqliteBroker) -> None:
    """Join, which sees only commits, never finds the queue empty between a message and its follow-up."""
    seen: list[int] = []

    @dramatiq.actor
    def step(number: int) -> None:
        seen.append(number)

    def send_next(message: MessageProxy) -> None:
        if message.args[0] < 20:
            step.send(message.args[0] + 1)
            assert broker.get_queue_message_counts("default")[0] == 0

    broker.add_middleware(Afterwards(send_next))
    with working(broker):
        step.send(0)
        broker.join("default", timeout=JOIN_MS)
    assert seen == list(range(21))


def test_hooks_hear_of_follow_ups_after_the_commit(broker: SqliteBroker) -> None:
    heard: list[tuple[str, tuple[int, int, int]]] = []

    class Watcher(Middleware):
        def after_enqueue(self, broker: dramatiq.Broker, message: Message[None], delay: int | None) -> None:
            assert isinstance(broker, DatabaseBroker)
            heard.append((message.actor_name, broker.get_queue_message_counts("other")))

    @dramatiq.actor(queue_name="other")
    def other() -> None:
        pass

    @dramatiq.actor
    def first() -> None:
        pass

    broker.add_middleware(Watcher())
    broker.add_middleware(Afterwards(lambda message: other.send_with_options(delay=60_000)))
    with working(broker):
        first.send()
        broker.join("default", timeout=JOIN_MS)
        wait_for(lambda: len(heard) == 2)
    # The sender hears of "first" at any time: the worker may be quicker.
    assert [one for one in heard if one[0] == "other"] == [("other", (0, 1, 0))]


@pytest.mark.logs_errors("dramatiq")
def test_a_follow_up_that_cannot_be_sent_dead_letters_the_message(broker: SqliteBroker) -> None:
    """Dramatiq itself would log it and acknowledge the message: a retry would be lost without a trace."""

    @dramatiq.actor
    def fine() -> None:
        pass

    def send_wrongly(message: MessageProxy) -> None:
        fine.send()
        broker.enqueue(message.copy(queue_name="nowhere"))

    broker.add_middleware(Afterwards(send_wrongly))
    with working(broker):
        fine.send()
        broker.join("default", timeout=JOIN_MS)
    assert [letter.error for letter in broker.admin.dead_letters()] == ["UnknownQueue: nowhere"]


@pytest.mark.logs_errors("dramatiq")
def test_a_message_whose_end_is_interrupted_runs_again(broker: SqliteBroker) -> None:
    """A time limit that strikes after a failure must neither end the thread nor lose the retry."""
    runs: list[int] = []

    @dramatiq.actor(max_retries=0)
    def fail() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise ValueError

    def interrupt(message: MessageProxy) -> None:
        if len(runs) < 3:
            raise Interrupt

    broker.add_middleware(Afterwards(interrupt))
    with working(broker, threads=1) as worker:
        fail.send()
        broker.join("default", timeout=JOIN_MS)
        assert [thread.is_alive() for thread in worker.workers] == [True]
    assert len(runs) == 3
    assert broker.admin.dead_letters() == []
