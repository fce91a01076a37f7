"""The relay and the workers that it wakes through real servers: what is lost, doubled or killed changes no message."""

from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed

from broker.debug import woken_by_tokens_only
from broker.errors import TransportUnusable
from broker.postgresql import PostgresqlBroker
from broker.relay import Relay, RelayedBroker, open_transport
from broker.relay import relay as relay_module
from tests.broker.conftest import NEVER_S, noting, wait_until_idle, working
from tests.support.waiting import wait_for
from tests.transport_servers import RabbitmqServer, TransportServer

ROOT = Path(__file__).parents[2]
JOIN_MS = 30_000


@pytest.fixture(params=["redis", "rabbitmq"])
def transport(request: pytest.FixtureRequest) -> TransportServer:
    server: TransportServer = request.getfixturevalue(f"{request.param}_server")
    server.clear()
    return server


MakeRelay = Callable[[], Relay]


@pytest.fixture
def make_relay(database_url: str, transport: TransportServer) -> Iterator[MakeRelay]:
    """Return a function that starts relays; they are closed in the end."""
    made: list[Relay] = []

    def make() -> Relay:
        made.append(Relay(database_url, transport.url))
        made[-1].start()
        return made[-1]

    yield make
    for relay in made:
        relay.close()


@pytest.fixture
def relay(make_relay: MakeRelay) -> Relay:
    relay = make_relay()
    wait_for(lambda: relay.is_active, "an active relay")
    return relay


@pytest.fixture
def broker(database_url: str, transport: TransportServer) -> Iterator[RelayedBroker]:
    broker = RelayedBroker(database_url, transport.url, lease_s=NEVER_S, poll_interval_s=NEVER_S)
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    with woken_by_tokens_only():
        yield broker
    broker.close()


def wait_until_receiving(broker: RelayedBroker, queue: str = "default") -> None:
    """Wait until an idle worker is woken by a token only."""
    wait_for(lambda: broker.receives(queue), "a receiver")
    wait_until_idle(broker, queue)


@contextlib.contextmanager
def other_process(program: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program; killed in the end."""
    popen = subprocess.Popen(
        [sys.executable, "-uc", textwrap.dedent(program)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with popen:
        try:
            yield popen
        finally:
            popen.kill()


def lines(popen: subprocess.Popen[str]) -> Iterator[str]:
    assert popen.stdout is not None
    return (line.strip() for line in popen.stdout)


def relay_program(database_url: str, transport: TransportServer) -> str:
    return f"""
        import time
        from broker.relay import Relay
        relay = Relay({database_url!r}, {transport.url!r})
        relay.start()
        while not relay.is_active:
            time.sleep(0.02)
        print("active")
        time.sleep(600)
    """


def depth(transport: TransportServer, queue: str = "default") -> int:
    tokens = open_transport(transport.url)
    try:
        return tokens.depth(queue)
    finally:
        tokens.close()


class Blocking:
    """An actor that blocks until it is released, and the numbers that it was sent."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self.release = threading.Event()

        @dramatiq.actor(max_retries=0)
        def work(number: int) -> None:
            self.seen[number] += 1
            assert self.release.wait(60)

        self.actor = work


@pytest.mark.usefixtures("relay")
def test_an_idle_worker_is_woken_by_a_token(broker: RelayedBroker) -> None:
    seen, note = noting()
    with working(broker):
        for number in range(3):
            wait_until_receiving(broker)
            note.send(number)
            broker.join("default", timeout=JOIN_MS)
    assert seen == [0, 1, 2]


def test_a_queue_has_tokens_as_soon_as_it_has_a_worker(
    broker: RelayedBroker, make_relay: MakeRelay, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only at the relay's next look at the registry."""
    monkeypatch.setattr(relay_module, "CHECK_S", NEVER_S)
    relay = make_relay()
    wait_for(lambda: relay.is_active, "an active relay")
    seen, note = noting()
    sender = PostgresqlBroker(database_url, middleware=[])
    sender.declare_queue("default")
    with working(broker):
        wait_until_receiving(broker)
        sender.enqueue(note.message(1))
        broker.join("default", timeout=JOIN_MS)
    sender.close()
    assert seen == [1]


@pytest.mark.usefixtures("relay")
def test_every_message_is_run_once_by_several_workers(
    broker: RelayedBroker, database_url: str, transport: TransportServer
) -> None:
    seen, note = noting()
    others = [RelayedBroker(database_url, transport.url, lease_s=NEVER_S) for _ in range(2)]
    with contextlib.ExitStack() as stack:
        for one in (broker, *others):
            stack.callback(one.close)
            one.declare_actor(note)
            stack.enter_context(working(one, threads=2))
        for number in range(100):
            note.send(number)
        broker.join("default", timeout=JOIN_MS)
    assert Counter(range(100)) == Counter(seen)


@pytest.mark.usefixtures("relay")
def test_a_configured_prefetch_is_claimed_by_tokens(broker: RelayedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while all threads are busy; the default waits for an idle one."""
    monkeypatch.setattr("dramatiq.worker.QUEUE_PREFETCH", 4)
    actor = Blocking()
    with working(broker, threads=1):
        actor.actor.send(0)
        wait_for(lambda: actor.seen[0] == 1, "the first message")
        wait_until_receiving(broker)
        actor.actor.send(1)
        wait_for(lambda: [stats.leased for stats in broker.admin.queue_stats()] == [2], "the second claim")
        actor.release.set()
        broker.join("default", timeout=JOIN_MS)


@pytest.mark.usefixtures("relay")
def test_a_delayed_message_is_promoted_by_the_relay(broker: RelayedBroker) -> None:
    seen, note = noting()
    with working(broker):
        wait_until_receiving(broker)
        note.send_with_options(args=(1,), delay=300)
        broker.join("default", timeout=JOIN_MS)
    assert seen == [1]


@pytest.mark.usefixtures("relay")
def test_a_resumed_queue_and_an_admitted_message_get_tokens(broker: RelayedBroker) -> None:
    """Neither is sent: the relay hears of them, too."""
    seen, note = noting()
    with working(broker):
        wait_until_receiving(broker)
        broker.admin.pause_queue("default")
        for number in range(5):
            note.send_with_options(args=(number,), concurrency_key="one")
        broker.admin.resume_queue("default")
        broker.join("default", timeout=JOIN_MS)
    assert seen == list(range(5))


@pytest.mark.usefixtures("relay")
def test_lost_tokens_are_put_again(broker: RelayedBroker, transport: TransportServer) -> None:
    """Redis flushed, RabbitMQ's queue deleted."""
    actor = Blocking()
    with working(broker, threads=1):
        for number in range(5):
            actor.actor.send(number)
        for _ in range(2):
            wait_for(lambda: depth(transport) > 0, "tokens")
            transport.clear()
        wait_for(lambda: depth(transport) > 0, "new tokens")
        actor.release.set()
        broker.join("default", timeout=JOIN_MS)
        transport.clear()  # while the worker receives
        actor.actor.send(5)
        broker.join("default", timeout=JOIN_MS)
    assert Counter(range(6)) == actor.seen


@pytest.mark.usefixtures("relay")
def test_doubled_tokens_run_nothing_twice(broker: RelayedBroker, transport: TransportServer) -> None:
    seen, note = noting()
    tokens = open_transport(transport.url)
    with working(broker):
        for number in range(20):
            tokens.put("default", 3)
            note.send(number)
        broker.join("default", timeout=JOIN_MS)
        wait_for(lambda: tokens.depth("default") == 0, "tokens that find nothing")
    tokens.close()
    assert Counter(range(20)) == Counter(seen)


# pika leaves the sockets of connections that a starting server refuses to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("relay")
def test_a_restarted_transport_loses_and_doubles_nothing(broker: RelayedBroker, transport: TransportServer) -> None:
    """While it is away, workers read the tables."""
    seen, note = noting()
    with working(broker):
        wait_until_receiving(broker)
        transport.stop()
        note.send(0)
        broker.join("default", timeout=JOIN_MS)
        transport.start()
        wait_until_receiving(broker)
        note.send(1)
        broker.join("default", timeout=JOIN_MS)
    gc.collect()
    assert seen == [0, 1]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_second_relay_takes_over(
    end: signal.Signals, broker: RelayedBroker, make_relay: MakeRelay, database_url: str, transport: TransportServer
) -> None:
    seen, note = noting()
    with other_process(relay_program(database_url, transport)) as first, working(broker):
        assert next(lines(first)) == "active"
        second = make_relay()
        wait_for(lambda: len(broker.admin.consumers()) == 3, "both relays in the registry")
        wait_until_receiving(broker)
        assert not second.is_active
        first.send_signal(end)
        wait_for(lambda: second.is_active, "the second relay", 20)
        wait_until_receiving(broker)
        note.send(1)
        broker.join("default", timeout=JOIN_MS)
    assert seen == [1]


def test_the_messages_of_a_killed_worker_are_ready_again_though_no_worker_is_left(
    relay: Relay, database_url: str, transport: TransportServer
) -> None:
    """The relay prunes, so that an autoscaler sees work that waits."""
    program = f"""
        import time, dramatiq
        from broker.relay import RelayedBroker
        broker = RelayedBroker({database_url!r}, {transport.url!r})
        dramatiq.set_broker(broker)
        @dramatiq.actor
        def work():
            print("got")
            time.sleep(600)
        work.send()
        worker = dramatiq.Worker(broker, worker_threads=1)
        worker.start()
        time.sleep(600)
    """
    looking = RelayedBroker(database_url, transport.url)
    with other_process(program) as worker, contextlib.closing(looking):
        assert next(lines(worker)) == "got"
        assert [stats.leased for stats in looking.admin.queue_stats()] == [1]
        worker.kill()
        wait_for(lambda: [stats.ready for stats in looking.admin.queue_stats()] == [1], "the message", 30)
    assert relay.is_active


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize("transport", ["rabbitmq"], indirect=True)
def test_a_busy_worker_keeps_no_token_from_the_others(
    broker: RelayedBroker, rabbitmq_server: RabbitmqServer, transport: TransportServer
) -> None:
    """RabbitMQ would close a channel with an old delivery, and an idle machine would wait for a busy one."""
    actor = Blocking()
    with working(broker, threads=1):
        wait_until_receiving(broker)
        assert rabbitmq_server.consumers("relay.default") == 1
        for number in range(3):
            actor.actor.send(number)
        wait_for(lambda: rabbitmq_server.consumers("relay.default") == 0, "no consumer")
        wait_for(lambda: depth(transport) >= 2, "tokens for others")
        actor.release.set()
        broker.join("default", timeout=JOIN_MS)
        wait_until_receiving(broker)
        assert rabbitmq_server.consumers("relay.default") == 1


@pytest.mark.parametrize("transport", ["rabbitmq"], indirect=True)
def test_a_consumer_whose_queue_was_deleted_leaves_no_connection_open(transport: TransportServer) -> None:
    """Dramatiq's does: RabbitMQ has closed its channel, and closing that again fails."""
    tokens = open_transport(transport.url)
    consumer: Any = tokens.receive("default")  # Any: pika has no types
    transport.clear()
    with pytest.raises(ConnectionClosed, match="404"):
        next(consumer)
    tokens.release(consumer)
    assert not consumer.connection.is_open
    tokens.close()


def test_without_a_relay_the_tables_are_read(database_url: str, transport: TransportServer) -> None:
    broker = RelayedBroker(database_url, transport.url, poll_interval_s=0.5)
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    seen, note = noting()
    with contextlib.closing(broker), working(broker):
        broker.enqueue(note.message(1))
        broker.enqueue(note.message_with_options(args=(2,)), delay=200)
        broker.join("default", timeout=JOIN_MS)
    assert sorted(seen) == [1, 2]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:///queue", "not 'sqlite'"),
        ("", "not 'no URL'"),
        ("redis://host:port/0", "cannot be read"),
        ("amqp://host:port/", "cannot be read"),
    ],
)
def test_an_unusable_transport_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(TransportUnusable, match=reason):
        RelayedBroker("postgresql://localhost/none", url)
    with pytest.raises(TransportUnusable, match=reason):
        Relay("postgresql://localhost/none", url)


@pytest.mark.parametrize(("url", "package"), [("amqp://localhost", "pika"), ("redis://localhost", "redis")])
def test_a_missing_package_is_named(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == package or name.startswith("broker.relay.r")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TransportUnusable, match=f"package {package}"):
        open_transport(url)
