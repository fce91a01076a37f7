"""The broker on PostgreSQL behind PgBouncer in transaction mode, which swallows notifications and lends connections."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import dramatiq
import psycopg
import pytest
from dramatiq import Message

from broker.debug import awaits_notification
from broker.postgresql import PostgresqlBroker, PostgresqlRateLimiterBackend, PostgresqlResultBackend
from tests.broker.conftest import message_to, wait_until_idle, working
from tests.pgbouncer import running_pgbouncer
from tests.postgresql_server import PostgresqlServer
from tests.support.waiting import wait_for

JOIN_MS = 60_000


@pytest.fixture
def pooled_url(postgresql_server: PostgresqlServer, database_url: str) -> Iterator[str]:
    with running_pgbouncer(postgresql_server, database_url.rpartition("/")[2]) as url:
        yield url


def numbered(broker: PostgresqlBroker, seen: Counter[int]) -> None:
    """Declare an actor that counts its messages."""
    broker.emit_after("process_boot")

    @dramatiq.actor(broker=broker, actor_name="note")
    def note(number: int) -> None:
        seen[number] += 1


def note(number: int, **options: Any) -> Message[None]:  # Any: as dramatiq takes them
    return Message(queue_name="default", actor_name="note", args=(number,), kwargs={}, options=options)


def test_queues_are_polled_and_each_message_runs_once(
    pooled_url: str, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """More connections than the pooler has, so each statement may run on another one."""
    seen: Counter[int] = Counter()
    with ExitStack() as stack:
        brokers = [stack.enter_context(closing(PostgresqlBroker(pooled_url))) for _ in range(3)]
        for broker in brokers:
            numbered(broker, seen)
        for broker in brokers[1:]:
            stack.enter_context(working(broker, threads=2))
            wait_until_idle(broker, "default")
        brokers[0].enqueue_many([note(n, concurrency_key=f"key {n % 3}" if n % 2 else None) for n in range(200)])
        brokers[0].enqueue(note(200, unique_for=60, unique_key="key"))
        brokers[0].enqueue(note(201, unique_for=60, unique_key="key"))
        brokers[0].join("default", timeout=JOIN_MS)
        wait_until_idle(brokers[1], "default")
        brokers[0].enqueue(note(202))  # nobody is told; `poll_interval_s` is 30
        brokers[0].join("default", timeout=20_000)
        assert len(brokers[0].admin.consumers()) == 2
        assert session_locks(database_url) == 0
    assert "Notifications do not arrive" in caplog.text
    assert seen == Counter([*range(201), 202])


def session_locks(database_url: str) -> int:
    """Return how many advisory locks are held, which must be none on connections that are lent."""
    with psycopg.connect(database_url) as connection:
        query = """
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def test_a_direct_way_for_listening_brings_notifications(
    pooled_url: str, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: Counter[int] = Counter()
    with (
        closing(PostgresqlBroker(pooled_url, listen_url=database_url)) as sending,
        closing(PostgresqlBroker(pooled_url, listen_url=database_url)) as broker,
    ):
        for each in (sending, broker):
            numbered(each, seen)
        with working(broker):
            wait_until_idle(broker, "default")
            sending.enqueue(note(1))
            sending.join("default", timeout=10_000)  # the safety net comes every 30 s
            assert session_locks(database_url) == 0
    assert seen == {1: 1}
    assert "Notifications do not arrive" not in caplog.text


def test_results_are_waited_for_and_slots_are_counted(pooled_url: str) -> None:
    message = message_to("default")
    found: list[object] = []
    with (
        closing(PostgresqlResultBackend(pooled_url)) as waiting,
        closing(PostgresqlResultBackend(pooled_url)) as storing,
        closing(PostgresqlRateLimiterBackend(pooled_url)) as limits,
    ):
        ask = threading.Thread(
            target=lambda: found.append(waiting.get_result(message, block=True, timeout=JOIN_MS)), daemon=True
        )
        ask.start()
        wait_for(lambda: awaits_notification(ask), "a thread that waits for the result")
        storing.store_result(message, 42, 60_000)
        ask.join(20)  # polled once a second; without that it would be 30 s
        assert found == [42]
        assert [limits.incr("key", 1, 2, 60_000) for _ in range(3)] == [True, True, False]
