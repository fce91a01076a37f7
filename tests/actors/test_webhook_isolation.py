"""Receivers that do not answer delay neither publications nor other receivers: the workers of the network process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Event

import dramatiq
import pytest

from actors import wiring
from actors.flow import webhook_queue
from scripts.machine.network_worker import THREADS
from scripts.machine.worker_process import start_workers, stop_workers
from store import Store
from store.endpoints import save_health
from store.states import DeliveryStatus
from tests.actors.webhook_run import WebhookRun
from tests.support.clock import Clock
from tests.support.receiver import Receiver, receiving
from tests.support.waiting import wait_for

HANGING = 10


class Network:
    """The workers of the network process, ten receivers that do not answer before the end, and one that does."""

    def __init__(self, run: WebhookRun, hanging: list[Receiver], healthy: Receiver, release: Event) -> None:
        self.run = run
        self.hanging = hanging
        self.healthy = healthy
        self.release = release

    def in_flight(self) -> int:
        """Return how many webhooks are being sent."""
        return len([held for held in wiring.machine.broker.admin.held_messages() if held.queue.startswith("webhooks")])


@pytest.fixture
def network(store: Store) -> Iterator[Network]:
    run, release = WebhookRun(store, Clock(wiring.machine.now())), Event()
    with ExitStack() as stack:
        hanging = [stack.enter_context(receiving()) for _ in range(HANGING)]
        healthy = stack.enter_context(receiving())
        for receiver in hanging:
            receiver.before_answer = release.wait
        yield Network(run, hanging, healthy, release)
        release.set()


@pytest.fixture
def started() -> Iterator[Event]:
    """Set once an actor of the queue of publications has begun."""
    event = Event()

    @dramatiq.actor(broker=wiring.machine.broker, queue_name="network", actor_name="publish_something", max_retries=0)
    def publish_something() -> None:
        event.set()

    yield event
    del wiring.machine.broker.actors["publish_something"]


@pytest.fixture
def workers(network: Network) -> Iterator[None]:
    workers = start_workers(wiring.machine.broker, THREADS)
    yield
    network.release.set()
    stop_workers(workers)


@pytest.mark.usefixtures("workers")
def test_ten_receivers_that_begin_to_hang_delay_nothing_else(network: Network, started: Event) -> None:
    """Each has forty events waiting, and one thread."""
    for receiver in network.hanging:
        network.run.add(receiver.url)
    network.run.emit(count=40)
    wait_for(lambda: all(receiver.got for receiver in network.hanging), "ten receivers to hang")
    endpoint = network.run.add(network.healthy.url)
    network.run.emit(count=40)
    wait_for(lambda: len(network.healthy.got) == 40, "the healthy receiver", timeout_s=12)  # they hang for 15 s
    wiring.machine.send("publish_something")
    assert started.wait(12)
    wait_for(lambda: network.in_flight() == HANGING, "the healthy receiver's last message", timeout_s=12)
    assert [len(receiver.got) for receiver in network.hanging] == [1] * HANGING
    assert network.run.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 40


@pytest.mark.usefixtures("workers")
def test_receivers_that_were_slow_share_a_few_threads(network: Network) -> None:
    for receiver in network.hanging:
        endpoint = network.run.endpoint(network.run.add(receiver.url))
        with network.run.store.writing(scope="everything") as connection:
            save_health(connection, replace(endpoint, last_duration_ms=webhook_queue.SLOW_MS + 1))
    network.run.emit()
    wait_for(lambda: network.in_flight() == THREADS["webhooks_slow"], "the slow threads to be busy")
    network.run.add(network.healthy.url)
    network.run.emit()
    wait_for(lambda: network.healthy.got, "the healthy receiver", timeout_s=12)
    assert sum(bool(receiver.got) for receiver in network.hanging) == THREADS["webhooks_slow"]


@pytest.mark.usefixtures("workers")
def test_an_endpoint_has_one_delivery_in_flight(network: Network) -> None:
    """Even if it has two messages: the endpoint is their concurrency key."""
    [receiver, *_] = network.hanging
    endpoint = network.run.add(receiver.url)
    network.run.emit()
    wait_for(lambda: receiver.got, "the receiver to hang")
    for actor in (webhook_queue.QUICK, webhook_queue.SLOW):
        token = webhook_queue.token(network.run.endpoint(endpoint).wake_at)
        wiring.machine.send(actor, endpoint, token, concurrency_key=endpoint)
    blocked = {stats.queue: stats.blocked for stats in wiring.machine.broker.admin.queue_stats()}
    assert (blocked["webhooks"], blocked["webhooks_slow"]) == (1, 1)
    assert network.in_flight() == 1
