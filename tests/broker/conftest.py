"""A broker on a file of its own for every test, and workers that are always stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq
import pytest
from dramatiq import Message, Worker

from broker import SqliteBroker


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


@contextmanager
def working(broker: SqliteBroker, threads: int = 4, timeout_ms: int = 50) -> Iterator[Worker]:
    """Run a dramatiq worker for the length of a block."""
    worker = Worker(broker, worker_threads=threads, worker_timeout=timeout_ms)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def message_to(queue: str, actor: str = "nobody", **options: object) -> Message[None]:
    return Message(queue_name=queue, actor_name=actor, args=(), kwargs={}, options=dict(options))
