"""A broker on a file of its own for every test, workers that are always stopped, and a clock that tests advance."""

from __future__ import annotations

import inspect
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dramatiq
import psycopg
import pytest
from dramatiq import Message, Worker

from broker import SqliteBroker, SqliteRateLimiterBackend, SqliteResultBackend
from broker.broker import DatabaseBroker
from broker.debug import BrokerDebug, woken_by_tokens_only
from broker.postgresql import PostgresqlBroker, PostgresqlRateLimiterBackend, PostgresqlResultBackend
from broker.rate_limits import DatabaseRateLimiterBackend
from broker.relay import Relay, RelayedBroker
from broker.relay.relay import RELAY
from broker.results import DatabaseResultBackend
from broker.storage.inspection import WorkerProcess
from tests.postgresql_server import PostgresqlServer
from tests.support.waiting import wait_for
from tests.transport_servers import TransportServer, running_transport

# So long a process does not look into the tables by itself: only a token wakes it.
NEVER_S = 3600.0
SOONER_THAN_A_POLL_S = 20.0  # the safety net reads the tables after 30 s, so only a notification is so soon


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite3"


# Tests with a broker that do not run on a `RelayedBroker`, with the reason. There is nothing that it cannot hold.
NOT_RELAYED = {
    "test_a_flood_of_one_key_does_not_stop_the_queue": "about the claim in the tables, which is PostgreSQL's; 15 s"
}

MakeBroker = Callable[..., SqliteBroker]


@pytest.fixture
def broker(make_broker: MakeBroker) -> SqliteBroker:
    broker = make_broker()
    dramatiq.set_broker(broker)
    return broker


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "on_rabbitmq: the test also runs on a broker that RabbitMQ wakes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of modules that set ON_EVERY_ENGINE once on each, but those that use the SQLite file itself.

    Those with a broker also run on a `RelayedBroker` through Redis, and those marked `on_rabbitmq` through RabbitMQ,
    whose queues take longer to declare.
    """
    file = {"path", "database_url"} & set(inspect.signature(metafunc.function).parameters)
    if metafunc.definition.get_closest_marker("sqlite_only"):
        return
    if getattr(metafunc.module, "ON_EVERY_ENGINE", False) and "engine" in metafunc.fixturenames and not file:
        engines = ["sqlite", "postgresql"]
        if "make_broker" in metafunc.fixturenames and metafunc.function.__name__ not in NOT_RELAYED:
            engines += ["redis", *(["rabbitmq"] if metafunc.definition.get_closest_marker("on_rabbitmq") else [])]
        metafunc.parametrize("engine", engines, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """Return the kind of the test's database, or of the transport; `pytest_generate_tests` chooses it."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[TransportServer]:
    with running_transport("redis") as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[TransportServer]:
    with running_transport("rabbitmq") as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: PostgresqlServer) -> str:
    """Return the name of a database with the broker's tables, which the tests copy."""
    name = postgresql_server.create_database()
    broker = PostgresqlBroker(postgresql_server.url(name))
    broker.admin.queue_stats()
    broker.close()
    results = PostgresqlResultBackend(postgresql_server.url(name))
    results.purge()
    results.close()
    return name


@pytest.fixture
def database_url(postgresql_server: PostgresqlServer, postgresql_template: str) -> Iterator[str]:
    """Return the URL of a new database."""
    name = postgresql_server.create_database(postgresql_template)
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def place(engine: str, request: pytest.FixtureRequest) -> str:
    """Return the path of the test's file, or the URL of its database."""
    return str(request.getfixturevalue("path" if engine == "sqlite" else "database_url"))


@contextmanager
def open_database(place: str) -> Iterator[Any]:  # Any: a connection of either engine
    """Open the tables for a block past the broker; commits in the end."""
    if place.startswith("postgresql:"):
        with psycopg.connect(place) as server:
            yield server
    else:
        with closing(sqlite3.connect(place)) as file, file:
            yield file


MakeResults = Callable[..., DatabaseResultBackend]


@pytest.fixture
def make_results(engine: str, place: str) -> Iterator[MakeResults]:
    """Return a function that makes result backends of the test's database; they are closed in the end."""
    made: list[DatabaseResultBackend] = []
    backend = SqliteResultBackend if engine == "sqlite" else PostgresqlResultBackend

    def make(**options: Any) -> DatabaseResultBackend:  # Any: as the backend takes them
        made.append(backend(place, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def results(make_results: MakeResults) -> DatabaseResultBackend:
    return make_results()


@pytest.fixture
def limits(engine: str, place: str) -> Iterator[DatabaseRateLimiterBackend]:
    made = SqliteRateLimiterBackend(place) if engine == "sqlite" else PostgresqlRateLimiterBackend(place)
    yield made
    made.close()


@pytest.fixture
def new_broker(engine: str, place: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., DatabaseBroker]]:
    """Return what makes a broker of the test's engine; a relay runs meanwhile if it needs one."""
    if engine == "sqlite":
        yield partial(SqliteBroker, place)
    elif engine == "postgresql":
        yield partial(PostgresqlBroker, place)
    else:
        server: TransportServer = request.getfixturevalue(f"{engine}_server")
        server.clear()
        relay = Relay(place, server.url)
        relay.start()
        wait_for(lambda: relay.is_active, "an active relay")
        with woken_by_tokens_only():
            yield partial(RelayedBroker, place, server.url, poll_interval_s=NEVER_S)
        relay.close()


@pytest.fixture
def make_broker(new_broker: Callable[..., DatabaseBroker]) -> Iterator[Callable[..., SqliteBroker]]:
    """Return a function that makes brokers of the test's database; they are closed in the end.

    The tests call them all by the type of the first engine: they use what all have.
    """
    made: list[DatabaseBroker] = []

    def make(**options: Any) -> SqliteBroker:  # Any: as the broker takes them
        made.append(new_broker(**options))
        made[-1].emit_after("process_boot")
        return cast("SqliteBroker", made[-1])

    yield make
    for broker in made:
        broker.close()


class TableClock:
    """The clocks of the tables in this process; they stand still until a test advances them."""

    def __init__(self) -> None:
        self.now_ns = time.time_ns()

    def advance(self, seconds: int) -> None:
        self.now_ns += seconds * 1_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> TableClock:
    """Return the clock by which delays end, and results, counters and unique keys expire."""
    clock = TableClock()
    patched = SimpleNamespace(time_ns=lambda: clock.now_ns, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr("broker.storage.database.time", patched)
    monkeypatch.setattr("broker.storage.encoding.boot_ms", lambda: clock.now_ns // 1_000_000)
    return clock


@contextmanager
def working(broker: DatabaseBroker, threads: int = 4, timeout_ms: int = 50) -> Iterator[Worker]:
    """Run a dramatiq worker for the length of a block."""
    worker = Worker(broker, worker_threads=threads, worker_timeout=timeout_ms)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def wait_until_idle(broker: DatabaseBroker, *queues: str, consumers: int = 1) -> None:
    """Wait until the writer sleeps and so many consumers of each queue wait: only a notification wakes them."""
    debug = BrokerDebug(broker)
    for queue in queues:
        wait_for(lambda: debug.waiting(queue) >= consumers, f"consumers of {queue}")  # noqa: B023  # called at once
    wait_for(lambda: debug.is_idle, "an idle writer")


def workers_of(broker: DatabaseBroker) -> list[WorkerProcess]:
    """Return the living processes that consume; a relay is registered among them, but claims nothing."""
    return [process for process in broker.admin.consumers() if process.queues != (RELAY,)]


def noting() -> tuple[list[int], dramatiq.Actor[[int], None]]:
    """Return an actor, and the list in which it writes what it was sent."""
    seen: list[int] = []

    @dramatiq.actor
    def note(number: int) -> None:
        seen.append(number)

    return seen, note


def take_from_frozen(broker: Any, worker: subprocess.Popen[str], timeout_ms: int) -> None:  # Any: of either engine
    """Freeze a worker once it prints "got"; its message comes to us, and its late acknowledgement has no effect."""
    assert worker.stdout is not None
    assert worker.stdin is not None
    assert worker.stdout.readline() == "got\n"
    consumer = broker.consume("default", timeout=timeout_ms)
    assert next(consumer) is None  # while it lives, it keeps its message, however long the work takes
    worker.send_signal(signal.SIGSTOP)
    ours = next(consumer) or next(consumer) or next(consumer)
    assert ours is not None
    worker.send_signal(signal.SIGCONT)
    worker.stdin.write("\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "acknowledged\n"
    [stats] = broker.admin.queue_stats()
    assert (stats.ready, stats.leased) == (0, 1)
    consumer.ack(ours)
    broker.join("default", timeout=1000)
    broker.close()


def stay() -> None:
    """Keep an actor busy until an exception is raised into its thread, which needs Python code that goes on."""
    wait_for(lambda: False, "an exception", 20, interval_s=0.005)


def message_to(queue: str, actor: str = "nobody", **options: object) -> Message[None]:
    return Message(queue_name=queue, actor_name=actor, args=(), kwargs={}, options=dict(options))
