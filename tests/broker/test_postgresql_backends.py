"""Results and rate limits on PostgreSQL where they differ: several processes that write at once, lost servers."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import psycopg
import pytest
from dramatiq import Message

from broker.debug import awaits_notification
from broker.errors import DatabaseUnavailable
from broker.postgresql import PostgresqlRateLimiterBackend, PostgresqlResultBackend
from broker.postgresql.database import ConnectionLock, PostgresqlDatabase
from broker.postgresql.poller import PostgresqlPoller, PostgresqlWaiter, WaitersPoller, server_channel
from broker.postgresql.schema import POSTGRESQL_BACKEND_SCHEMA
from tests.postgresql_server import PostgresqlServer
from tests.support.waiting import wait_for

MINUTE_MS = 60_000
LIMIT = 25
CLIENTS = 4
WOKEN_S = 10.0  # measured: 0.05 s; without a notification it would be 30 s


@pytest.fixture
def clients(database_url: str) -> Iterator[list[PostgresqlRateLimiterBackend]]:
    """Return backends with connections of their own, as several processes have them."""
    with ExitStack() as open_clients:
        yield [open_clients.enter_context(closing(PostgresqlRateLimiterBackend(database_url))) for _ in range(CLIENTS)]


def successes(clients: list[PostgresqlRateLimiterBackend], take: Callable[[Any, int], bool]) -> int:
    """Have all clients take something at the same time, more often than is allowed; return how often they got it."""
    taken: list[bool] = []
    together = threading.Barrier(CLIENTS)

    def run(client: PostgresqlRateLimiterBackend) -> None:
        together.wait(10)
        taken.extend(take(client, number) for number in range(LIMIT))

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(taken) == CLIENTS * LIMIT
    return sum(taken)


def test_processes_raise_a_counter_to_its_maximum_and_no_further(clients: list[PostgresqlRateLimiterBackend]) -> None:
    assert successes(clients, lambda client, _: client.incr("key", 1, LIMIT, MINUTE_MS)) == LIMIT
    assert successes(clients, lambda client, _: client.decr("key", 1, 0, MINUTE_MS)) == LIMIT


def test_a_sum_of_counters_is_not_passed_by_processes_that_raise_different_ones(
    clients: list[PostgresqlRateLimiterBackend],
) -> None:
    keys = [f"second {number}" for number in range(LIMIT)]
    taken = successes(
        clients, lambda client, number: client.incr_and_sum(keys[number], lambda: keys, 1, LIMIT, MINUTE_MS)
    )
    assert taken == LIMIT


def test_a_counter_that_another_process_deletes_is_not_lowered_below_its_minimum(
    clients: list[PostgresqlRateLimiterBackend], database_url: str
) -> None:
    """The decision and the write are one statement: it waits for the other transaction, and looks again."""
    client = clients[0]
    client.add("key", 1, MINUTE_MS)
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(client.decr("key", 1, 0, MINUTE_MS)))
    with psycopg.connect(database_url) as other:
        other.execute("DELETE FROM broker_counters")
        thread.start()
        with psycopg.connect(database_url, autocommit=True) as watching:
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            wait_for(lambda: watching.execute(waits).fetchone() is not None, "a client that waits for the row")
    thread.join(10)
    assert found == [False]
    with psycopg.connect(database_url) as reading:
        assert reading.execute("SELECT count(*) FROM broker_counters").fetchone() == (0,)


def test_a_thread_that_waits_for_a_result_survives_a_restart_of_the_server(own_server: PostgresqlServer) -> None:
    url = own_server.url(own_server.create_database())
    message: Message[Any] = Message("default", "work", (), {}, {})
    with closing(PostgresqlResultBackend(url)) as waiting, closing(PostgresqlResultBackend(url)) as storing:
        found: list[object] = []
        ask = threading.Thread(
            target=lambda: found.append(waiting.get_result(message, block=True, timeout=MINUTE_MS)), daemon=True
        )
        ask.start()
        wait_for(lambda: awaits_notification(ask), "a thread that waits for the result")
        own_server.stop("fast")
        own_server.start()
        storing.store_result(message, 42, MINUTE_MS)
        ask.join(WOKEN_S)
        assert found == [42]


def test_a_thread_whose_read_fails_after_a_notification_soon_reads_again(database_url: str) -> None:
    """A notification is used up by the read that follows it, also if the connection was lost meanwhile."""
    database = PostgresqlDatabase(database_url, None, ConnectionLock(), POSTGRESQL_BACKEND_SCHEMA)
    poller = WaitersPoller(database)
    waiter = PostgresqlWaiter(poller)
    reads: list[int] = []

    def read() -> str | None:
        reads.append(len(reads))
        if len(reads) == 1:
            raise DatabaseUnavailable("terminating connection due to administrator command")
        return "found"

    began_s = time.monotonic()
    assert waiter.wait(read, "channel", math.inf) == "found"
    assert time.monotonic() - began_s < WOKEN_S
    waiter.close()


def test_a_read_on_a_connection_that_the_server_has_ended_is_repeated(own_server: PostgresqlServer) -> None:
    """The server's last words are read before the end of the stream, so the connection still looks open."""
    database = PostgresqlDatabase(own_server.url(), None, ConnectionLock(), POSTGRESQL_BACKEND_SCHEMA)
    pid = "SELECT pg_backend_pid()"
    for _ in range(20):
        [(before,)] = database.read(pid)
        with psycopg.connect(own_server.url(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (before,))
        assert database.read(pid) != [(before,)]
    database.close(1.0)


def test_a_notification_that_arrives_while_a_table_is_read_is_not_lost(database_url: str) -> None:
    database = PostgresqlDatabase(database_url, None, ConnectionLock())
    poller = PostgresqlPoller(database)
    calls: list[str] = []
    poller.listen("default", lambda: calls.append("default"))
    poller.wait(0.0)
    calls.clear()  # that of the connection
    read = partial(database.read, "SELECT CAST(pg_advisory_xact_lock(1) AS TEXT)", by_writer=True)
    thread = threading.Thread(target=read)
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(1)")
        thread.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
        wait_for(lambda: other.execute(waits).fetchone() is not None, "a read that has begun")
        other.execute("SELECT pg_notify(%s, '')", (server_channel("default"),))
        other.execute("SELECT pg_advisory_unlock(1)")
        thread.join()
        poller.wait(0.0)
    assert calls == ["default"]
    poller.close()
    database.close(1.0)
