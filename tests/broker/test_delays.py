"""Delays wait in the tables: exact, surviving restarts, at the tail of the queue once they are due."""

from __future__ import annotations

import threading
import time

import dramatiq
import pytest

from broker import SqliteBroker
from broker.debug import BrokerDebug
from tests.broker.conftest import MakeBroker, working
from tests.support.waiting import wait_for

ON_EVERY_ENGINE = True


def test_a_delayed_message_runs_when_it_is_due_and_not_before(broker: SqliteBroker) -> None:
    ran: list[float] = []

    @dramatiq.actor
    def note() -> None:
        ran.append(time.time())

    with working(broker):
        sent = time.time()
        note.send_with_options(delay=300)
        broker.join("default", timeout=10_000)  # less than the interval at which the tables are read anyhow
    assert ran[0] - sent >= 0.3


def test_delayed_messages_run_in_the_order_of_their_eta(broker: SqliteBroker) -> None:
    seen: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    base_ms = int(time.time() * 1000)
    for number in (3, 1, 2):
        broker.enqueue(note.message(number).copy(options={"eta": base_ms + 1000 + number}))
    with working(broker, threads=1):
        broker.join("default", timeout=10_000)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("sent", ["before the worker starts", "while it waits"])
def test_what_fell_due_while_all_threads_were_busy_keeps_its_turn(broker: SqliteBroker, sent: str) -> None:
    """A retry must not go behind everything that was sent while the one thread worked for an hour."""
    began, go = threading.Event(), threading.Event()
    seen: list[str] = []

    @dramatiq.actor
    def block() -> None:
        began.set()
        go.wait(60)

    @dramatiq.actor
    def note(name: str) -> None:
        seen.append(name)

    def send() -> None:
        block.send()
        note.send_with_options(args=("due first",), delay=500)

    if sent == "before the worker starts":
        send()
    with working(broker, threads=1):
        if sent == "while it waits":
            send()
        assert began.wait(30)
        ready = "SELECT 1 FROM broker_messages WHERE state = 0 AND actor = 'note'"
        wait_for(lambda: BrokerDebug(broker).database.read(ready), "the delayed message, ready", timeout_s=10)
        note.send("sent later")
        go.set()
        broker.join("default", timeout=10_000)
    assert seen == ["due first", "sent later"]


def test_delays_survive_a_restart_and_hold_no_memory(make_broker: MakeBroker) -> None:
    first = make_broker()
    dramatiq.set_broker(first)
    seen: list[int] = []

    @dramatiq.actor(broker=first)
    def note(number: int) -> None:
        seen.append(number)

    with working(first):
        first.enqueue_many([note.message(number) for number in range(100)], delay=1500)
        [stats] = first.admin.queue_stats()
    first.close()
    assert (stats.delayed, stats.leased) == (100, 0)
    second = make_broker()
    second.declare_actor(note)
    with working(second):
        second.join("default", timeout=10_000)
    second.close()
    assert seen[:2] == [0, 1]
    assert sorted(seen) == list(range(100))


def test_a_delay_of_zero_is_ready_at_once(broker: SqliteBroker) -> None:
    @dramatiq.actor
    def note() -> None:
        pass

    sent = note.send_with_options(delay=0)
    assert sent.queue_name == "default.DQ"
    assert broker.get_queue_message_counts("default") == (1, 0, 0)


@pytest.mark.parametrize("eta", ["soon", None])
def test_a_senseless_eta_means_now(broker: SqliteBroker, eta: object) -> None:
    @dramatiq.actor
    def note() -> None:
        pass

    broker.enqueue(note.message().copy(options={"eta": eta}))
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
