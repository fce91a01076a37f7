"""Targets: the broker, its file or server, and the unused queue of one measurement."""

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
from broker.relay import RelayedBroker
from scripts.benchmarks.broker.run_log import RunLog

__all__ = ["Target"]

MESSAGES_AT_ONCE = 10_000

Actor = dramatiq.Actor[Any, Any]  # Any: a job's arguments are checked where it is declared


@dataclass(frozen=True, slots=True)
class Target:
    """Address of a broker and name of a queue; passed to child processes as JSON."""

    candidate: str
    address: str  # of the server, or path of the file
    queue: str

    def to_json(self) -> str:
        """Return the target as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Target:
        """Return the target that JSON describes."""
        return cls(**json.loads(text))

    def broker(self) -> Broker:
        """Create the broker, with Dramatiq's default middleware and the broker's own default settings."""
        broker: Broker = _MAKERS[self.candidate](self.address)
        return broker


def declare_job(broker: Broker, queue: str, run_log: RunLog | None = None) -> Actor:
    """Declare the one actor of all measurements: it records its run and sleeps for the given time."""

    def job(number: int, sent_ns: int, sleep_ms: int) -> None:
        assert run_log is not None
        slot = run_log.begin(number, sent_ns)
        if sleep_ms:
            run_log.sleep(sleep_ms)
        run_log.end(slot)

    return dramatiq.actor(broker=broker, queue_name=queue, actor_name="job")(job)


def fill(broker: Broker, job: Actor, count: int, sleep_ms: int) -> None:
    """Store `count` messages in the fastest way that the broker has; not part of any measurement."""
    messages = (job.message(number, 0, sleep_ms) for number in range(count))
    quickly = _FILLERS.get(type(broker).__name__, _one_by_one)
    while chunk := list(islice(messages, MESSAGES_AT_ONCE)):
        quickly(broker, chunk)


def _dramatiq_postgres(url: str) -> Broker:
    psycopg = importlib.import_module("psycopg")
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        importlib.import_module("dramatiq_postgres.schema").init(cursor)
    broker: Broker = importlib.import_module("dramatiq_postgres").PostgresBroker(url=url, results=False)
    return broker


def _made_by(module: str, name: str) -> Any:  # Any: packages may be missing, and some have no types
    return lambda url: getattr(importlib.import_module(module), name)(url=url)


_MAKERS: dict[str, Any] = {  # Any: as above
    "ours-full": lambda path: SqliteBroker(path, synchronous="FULL"),
    "ours-normal": lambda path: SqliteBroker(path, synchronous="NORMAL"),
    "ours-postgresql": _made_by("broker.postgresql", "PostgresqlBroker"),
    **{f"ours-relay-{transport}": lambda urls: RelayedBroker(*urls.split()) for transport in ("redis", "rabbitmq")},
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


_FILLERS: dict[str, Any] = {  # Any: each function is for one broker class
    "SqliteBroker": _fill_ours,
    "PostgresqlBroker": _fill_ours,
    "RelayedBroker": _fill_ours,
    "RedisBroker": _fill_redis,
    "PostgresBroker": _fill_postgres,
    "SQLiteBroker": _fill_dramatiq_sqlite,
}
