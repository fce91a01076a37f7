"""A broker on a file of its own for every test, workers that are always stopped, and a clock that tests advance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import dramatiq
import pytest
from dramatiq import Message, Worker

from broker import SqliteBroker
from broker.debug import BrokerDebug
from tests.support.waiting import wait_for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite3"


@pytest.fixture
def broker(path: Path) -> Iterator[SqliteBroker]:
    broker = SqliteBroker(path)
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    yield broker
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
def working(broker: SqliteBroker, threads: int = 4, timeout_ms: int = 50) -> Iterator[Worker]:
    """Run a dramatiq worker for the length of a block."""
    worker = Worker(broker, worker_threads=threads, worker_timeout=timeout_ms)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def wait_until_idle(broker: SqliteBroker, *queues: str, consumers: int = 1) -> None:
    """Wait until the writer sleeps and so many consumers of each queue wait: only a notification wakes them."""
    debug = BrokerDebug(broker)
    for queue in queues:
        wait_for(lambda: debug.waiting(queue) >= consumers, f"consumers of {queue}")  # noqa: B023  # called at once
    wait_for(lambda: debug.is_idle, "an idle writer")


def stay() -> None:
    """Keep an actor busy until an exception is raised into its thread, which needs Python code that goes on."""
    wait_for(lambda: False, "an exception", 20, interval_s=0.005)


def message_to(queue: str, actor: str = "nobody", **options: object) -> Message[None]:
    return Message(queue_name=queue, actor_name=actor, args=(), kwargs={}, options=dict(options))
