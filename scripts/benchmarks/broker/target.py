"""A place is where one measurement runs: a broker, its file or server, and a queue that nobody has used before."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import dramatiq
from dramatiq.broker import Broker

from broker import SqliteBroker
from scripts.benchmarks.broker.run_log import Tally

__all__ = ["Place"]

MESSAGES_AT_ONCE = 10_000

Actor = dramatiq.Actor[Any, Any]  # Any: a job's arguments are checked where it is declared


@dataclass(frozen=True, slots=True)
class Place:
    """Told to child processes as JSON."""

    contestant: str
    address: str  # of the server, or path of the file
    queue: str

    def told(self) -> str:
        """Return what `of` understands."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, told: str) -> Place:
        """Return the place that another process told of."""
        return cls(**json.loads(told))

    def broker(self) -> Broker:
        """Make the broker, with Dramatiq's default middleware and the broker's own default settings."""
        broker: Broker = _MAKERS[self.contestant](self.address)
        return broker


def declared_job(broker: Broker, queue: str, tally: Tally | None = None) -> Actor:
    """Declare the one actor of all measurements: it notes that it ran, and sleeps if it is told to."""

    def job(number: int, sent_ns: int, nap_ms: int) -> None:
        assert tally is not None
        slot = tally.begin(number, sent_ns)
        if nap_ms:
            tally.nap(nap_ms)
        tally.end(slot)

    return dramatiq.actor(broker=broker, queue_name=queue, actor_name="job")(job)


def fill(broker: Broker, job: Actor, count: int, nap_ms: int) -> None:
    """Make `count` messages wait, by the quickest way the broker has; what is measured does not begin before."""
    messages = (job.message(number, 0, nap_ms) for number in range(count))
    quickly = _FILLERS.get(type(broker).__name__, _one_by_one)
    while some := list(islice(messages, MESSAGES_AT_ONCE)):
        quickly(broker, some)


def _dramatiq_postgres(url: str) -> Broker:
    psycopg = importlib.import_module("psycopg")
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        importlib.import_module("dramatiq_postgres.schema").init(cursor)
    broker: Broker = importlib.import_module("dramatiq_postgres").PostgresBroker(url=url, results=False)
    return broker


def _made_by(module: str, name: str) -> Any:  # Any: the peers' packages may be missing, and some have no types
    return lambda url: getattr(importlib.import_module(module), name)(url=url)


_MAKERS: dict[str, Any] = {  # Any: as above
    "ours-full": lambda path: SqliteBroker(path, synchronous="FULL"),
    "ours-normal": lambda path: SqliteBroker(path, synchronous="NORMAL"),
    "redis": _made_by("dramatiq.brokers.redis", "RedisBroker"),
    "rabbitmq": _made_by("dramatiq.brokers.rabbitmq", "RabbitmqBroker"),
    "postgres": _dramatiq_postgres,
    "dramatiq-sqlite": _made_by("dramatiq_sqlite", "SQLiteBroker"),
}


def _one_by_one(broker: Broker, messages: Iterable[dramatiq.Message[Any]]) -> None:
    for message in messages:
        broker.enqueue(message)


def _fill_ours(broker: Any, messages: list[dramatiq.Message[Any]]) -> None:  # Any: here and below, one known class
    broker.enqueue_many(messages)


def _fill_redis(broker: Any, messages: list[dramatiq.Message[Any]]) -> None:
    pipeline = broker.client.pipeline(transaction=False)
    for message in messages:
        identity = message.message_id
        stored = message.copy(options={"redis_message_id": identity})
        pipeline.hset(f"{broker.namespace}:{message.queue_name}.msgs", identity, stored.encode())
        pipeline.rpush(f"{broker.namespace}:{message.queue_name}", identity)
    pipeline.execute()


def _fill_postgres(broker: Any, messages: list[dramatiq.Message[Any]]) -> None:
    rows = [(message.queue_name, message.message_id, message.encode().decode()) for message in messages]
    with broker.pool.connection() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO dramatiq.queue (queue_name, message_id, state, message) VALUES (%s, %s, 'queued', %s)", rows
        )


def _fill_dramatiq_sqlite(broker: Any, messages: list[dramatiq.Message[Any]]) -> None:
    rows = [(message.message_id, message.queue_name, message.encode().decode()) for message in messages]
    with broker.db as cursor:
        cursor.executemany("INSERT INTO dramatiq_messages VALUES (?, ?, 'queued', ?, 0)", rows)


_FILLERS: dict[str, Any] = {  # Any: each knows its own broker
    "SqliteBroker": _fill_ours,
    "RedisBroker": _fill_redis,
    "PostgresBroker": _fill_postgres,
    "SQLiteBroker": _fill_dramatiq_sqlite,
}
