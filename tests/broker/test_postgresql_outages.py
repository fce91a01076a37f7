"""The broker on PostgreSQL while the server is away for long, its clock is set, or a process wakes up late."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing

import dramatiq
import psycopg
import pytest

from broker import DatabaseUnavailable, LeaseLost, ServerUnreachable, SessionLost
from broker.debug import BrokerDebug
from broker.postgresql import PostgresqlBroker
from broker.postgresql.database import PostgresqlDatabase
from broker.postgresql.registry import HeartbeatWatch
from broker.postgresql.session import connected
from tests.broker.conftest import message_to, stay, wait_until_idle, working
from tests.postgresql_server import PostgresqlServer
from tests.support.server_proxy import ServerProxy
from tests.support.waiting import wait_for

JOIN_MS = 30_000
LEASE_S = 8.0


@pytest.mark.slow
@pytest.mark.logs_errors("dramatiq")
def test_a_server_that_is_away_for_longer_than_half_of_the_lease_loses_and_doubles_nothing(
    own_server: PostgresqlServer,
) -> None:
    """The scale of half a minute with the usual lease of a minute."""
    url = own_server.url(own_server.create_database())
    first, second = (PostgresqlBroker(url, lease_s=LEASE_S) for _ in range(2))
    begun, ended = Counter[str](), Counter[str]()
    away = threading.Event()

    def short() -> None:
        begun["short"] += 1
        assert away.wait(20)
        ended["short"] += 1  # in time, but nobody can acknowledge it now

    def long() -> None:
        begun["long"] += 1
        if begun["long"] == 1:
            try:
                stay()
            except LeaseLost:
                ended["interrupted"] += 1
                raise
        ended["long"] += 1

    for broker in (first, second):
        broker.emit_after("process_boot")
        for function in (short, long):
            dramatiq.actor(broker=broker, actor_name=function.__name__, max_retries=0)(function)
    first.enqueue_many([message_to("default", "short"), message_to("default", "long")])
    with working(first, threads=2):
        wait_for(lambda: begun == {"short": 1, "long": 1}, "both actors")
        with working(second, threads=2):
            wait_until_idle(second, "default")
            own_server.stop("fast")
            stopped_s = time.monotonic()
            away.set()
            with pytest.raises(ServerUnreachable, match="refused"):
                second.enqueue(message_to("default", "short"))
            wait_for(lambda: ended["interrupted"] == 1, "the fence", 20)
            wait_for(lambda: time.monotonic() - stopped_s > LEASE_S * 0.75, "old heartbeats")
            own_server.start()
            first.join("default", timeout=JOIN_MS)
    assert begun == {"short": 1, "long": 2}
    assert ended == {"short": 1, "interrupted": 1, "long": 1}
    for broker in (first, second):
        broker.close()


def test_heartbeats_are_watched_anew_after_a_gap() -> None:
    watch = HeartbeatWatch(lease_s=60)
    one = (1, "12:00:00")
    assert watch.look([one], 1000.0) == {one: 0.0}
    assert watch.look([one, (2, "12:00:05")], 1010.0) == {one: 10.0, (2, "12:00:05"): 0.0}
    assert watch.look([(1, "12:00:15"), (2, "12:00:05")], 1020.0) == {(1, "12:00:15"): 0.0, (2, "12:00:05"): 10.0}
    assert watch.look([(2, "12:00:05")], 1040.0) == {(2, "12:00:05"): 0.0}


def set_heartbeat(database_url: str, shift: str) -> None:
    """Shift the heartbeats of all processes, as they look after the clock of the server has been set."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"UPDATE broker_workers SET heartbeat = heartbeat {shift}")  # noqa: S608  # constants


def test_a_clock_of_the_server_that_is_set_forward_takes_no_message_from_a_living_process(database_url: str) -> None:
    holder, other = (PostgresqlBroker(database_url, lease_s=60, middleware=[]) for _ in range(2))
    for broker in (holder, other):
        broker.declare_queue("default")
    holder.enqueue(message_to("default"))
    with closing(holder.consume("default", timeout=5000)) as holding, closing(other.consume("default")):
        message = next(holding)
        assert message is not None
        set_heartbeat(database_url, "- interval '1 hour'")
        looks = BrokerDebug(other)
        looks.run_maintenance_soon()
        wait_until_maintained(other)
        assert len(other.admin.consumers()) == 2
        holding.ack(message)
    assert holder.get_queue_message_counts("default") == (0, 0, 0)
    for broker in (holder, other):
        broker.close()


def wait_until_maintained(broker: PostgresqlBroker) -> None:
    """Wait until the writer's thread has run the maintenance and sleeps again."""
    debug = BrokerDebug(broker)
    wait_for(lambda: debug.is_idle, "an idle writer")


def test_a_process_with_an_old_heartbeat_renews_it_with_its_next_claim(database_url: str) -> None:
    """Else others would give out again what it has just claimed."""
    broker = PostgresqlBroker(database_url, lease_s=60, middleware=[])
    broker.declare_queue("default")
    with closing(broker.consume("default", timeout=5000)) as consumer:
        debug = BrokerDebug(broker)
        debug.delay_heartbeats()
        set_heartbeat(database_url, "- interval '1 hour'")
        broker.enqueue(message_to("default"))
        message = next(consumer)
        assert message is not None
        with psycopg.connect(database_url) as connection:
            row = connection.execute("SELECT clock_timestamp() - heartbeat < interval '1 minute' FROM broker_workers")
            assert row.fetchall() == [(True,)]
        consumer.ack(message)
    broker.close()


@pytest.mark.logs_errors("dramatiq")
def test_an_actor_that_asks_after_a_freeze_is_interrupted_at_once(database_url: str) -> None:
    """The thread that asks may be the first one that runs again, and others may have the message by now."""
    calls: list[str] = []

    def work() -> None:
        calls.append("work")
        if calls.count("work") == 1:
            BrokerDebug(broker).age_heartbeat(3600, paused=False)
        broker.check_lease()
        calls.append("done")

    with closing(PostgresqlBroker(database_url, on_lease_lost=lambda _: calls.append("stop children"))) as broker:
        broker.emit_after("process_boot")
        dramatiq.actor(broker=broker, max_retries=0)(work).send()
        with working(broker, threads=1):
            broker.join("default", timeout=JOIN_MS)
        assert calls == ["work", "stop children", "work", "done"]
        assert broker.admin.dead_letters() == []


@pytest.mark.logs_errors("dramatiq")
def test_an_actor_that_asks_after_its_machine_was_paused_goes_on_if_nobody_has_its_message(database_url: str) -> None:
    """The server is asked: it alone knows for how long, and the wall clock may just have been set."""
    calls: list[str] = []

    def work() -> None:
        BrokerDebug(broker).age_heartbeat(3600, paused=True)
        broker.check_lease()
        calls.append("checked")
        if len(calls) == 1:
            with psycopg.connect(database_url) as connection:  # others have pruned this process meanwhile
                connection.execute("UPDATE broker_messages SET state = 0, holder = NULL")
                connection.execute("DELETE FROM broker_workers")
            BrokerDebug(broker).age_heartbeat(3600, paused=True)
            broker.check_lease()
            calls.append("in vain")

    with closing(PostgresqlBroker(database_url)) as broker:
        broker.emit_after("process_boot")
        dramatiq.actor(broker=broker, max_retries=0)(work).send()
        with working(broker, threads=1):
            wait_for(lambda: len(calls) == 2, "the second run")
            broker.join("default", timeout=JOIN_MS)
        assert calls == ["checked"] * 2


def test_a_process_that_is_frozen_in_a_transaction_keeps_no_message_from_others(database_url: str) -> None:
    """It holds the lock of the row; the server would wait for ever for the end of the transaction."""
    holder, other = (PostgresqlBroker(database_url, lease_s=3, middleware=[]) for _ in range(2))
    with closing(holder), closing(other):
        for broker in (holder, other):
            broker.declare_queue("default")
        holder.enqueue(message_to("default"))
        with closing(holder.consume("default", timeout=30_000)) as holding:
            assert next(holding) is not None
            with (
                BrokerDebug(holder).frozen_in_transaction(),
                closing(other.consume("default", timeout=60_000)) as consumer,
            ):
                message = next(consumer)
                assert message is not None
                consumer.ack(message)


# Connections and servers that are lost one by one.


def test_a_notification_is_sent_again_when_the_connection_of_the_sender_alone_was_lost(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer has lost nothing, so it reads its tables only when it is notified."""
    # As while other threads use the connection that writes: the one that listens notifies.
    monkeypatch.setattr(PostgresqlDatabase, "notify", lambda _database, _channels: False)
    with closing(PostgresqlBroker(database_url, middleware=[])) as sender:
        sender.declare_queue("other")
        sender.enqueue(message_to("other"))
        with psycopg.connect(database_url, autocommit=True) as connection:
            listeners = "SELECT pid FROM pg_stat_activity WHERE application_name = 'broker listener'"
            wait_for(lambda: connection.execute(listeners).fetchone() is not None, "the connection that notifies")
            [(pid,)] = connection.execute(listeners).fetchall()
            with closing(PostgresqlBroker(database_url, lease_s=600)) as broker:
                broker.emit_after("process_boot")
                dramatiq.set_broker(broker)
                sender.declare_queue("default")
                seen: list[int] = []
                dramatiq.actor(actor_name="note")(seen.append)
                with working(broker):
                    wait_until_idle(broker, "default")
                    connection.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
                    sender.enqueue(dramatiq.Message("default", "note", (1,), {}, {}))
                    wait_for(lambda: seen == [1], "the message", 15)  # the safety net comes every 30 s


def test_a_server_that_was_read_only_for_a_while_is_written_to_again(
    postgresql_server: PostgresqlServer, database_url: str
) -> None:
    """As some providers set it when the disk is nearly full; a session that is there already is told, too."""
    name = database_url.rpartition("/")[2]
    with (
        closing(PostgresqlBroker(database_url, middleware=[])) as broker,
        psycopg.connect(postgresql_server.url(), autocommit=True) as connection,
    ):
        broker.declare_queue("default")
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            broker.enqueue(message_to("default"))
        connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        broker.enqueue(message_to("default"))
        assert broker.get_queue_message_counts("default") == (1, 0, 0)


def test_a_standby_is_a_server_that_is_away(own_server: PostgresqlServer) -> None:
    """It refuses connections from both sides, and nothing is lost when it is promoted."""
    with closing(PostgresqlBroker(own_server.url(own_server.create_database()), middleware=[])) as broker:
        broker.declare_queue("default")
        broker.enqueue(message_to("default"))
        own_server.become_standby()
        with pytest.raises(ServerUnreachable, match="read-only"):
            broker.enqueue(message_to("default"))
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            broker.get_queue_message_counts("default")
        own_server.promote()
        broker.enqueue(message_to("default"))
        assert broker.get_queue_message_counts("default") == (2, 0, 0)
        with closing(broker.consume("default", timeout=5000)) as consumer:
            message = next(consumer)
            assert message is not None
            consumer.ack(message)


def test_a_session_of_a_former_primary_is_left_for_the_new_one(database_url: str) -> None:
    """The transaction is repeated on a new connection; the caller sees no error."""
    with closing(PostgresqlBroker(database_url, middleware=[])) as broker:
        broker.declare_queue("default")
        broker.enqueue(message_to("default"))
        writer = BrokerDebug(broker).database
        assert isinstance(writer, PostgresqlDatabase)
        writer.writer(5.0).session.run("SET default_transaction_read_only = on")
        broker.enqueue(message_to("default"))
        assert broker.get_queue_message_counts("default") == (2, 0, 0)


def test_a_message_that_joins_a_session_that_has_ended_is_told_from_a_failure(database_url: str) -> None:
    """An actor whose server crashes between two statements has used up no attempt."""
    with (
        closing(PostgresqlBroker(database_url, middleware=[])) as broker,
        psycopg.connect(database_url, autocommit=True) as connection,
        psycopg.connect(database_url, autocommit=True) as other,
    ):
        broker.declare_queue("default")
        connection.execute("BEGIN")
        with pytest.raises(SessionLost), broker.joining(connection):
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
            broker.enqueue(message_to("default"))


def test_a_connection_that_only_listens_is_probed_by_the_kernel(database_url: str) -> None:
    """It sends nothing that could remain unconfirmed when its peer vanishes."""
    with closing(connected(database_url, "listener")) as session, socket.socket(fileno=os.dup(session.fileno())) as one:
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle_s, interval_s, count = (one.getsockopt(socket.IPPROTO_TCP, name) for name in names)
        assert idle_s + interval_s * count <= 15
        assert 0 < one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 10_000


@pytest.mark.parametrize("role", ["writer", "reader", "listener"])
def test_a_server_that_stops_answering_is_noticed_by_each_connection(
    postgresql_server: PostgresqlServer, database_url: str, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    """As one that is frozen: its kernel confirms what is sent, so that no limit of TCP ends the wait."""
    proxy = ServerProxy(postgresql_server.port)
    url = database_url.replace(f":{postgresql_server.port}/", f":{proxy.port}/")
    with closing(PostgresqlBroker(f"{url}?connect_timeout=2", middleware=[])) as broker:
        broker.declare_queue("default")
        broker.enqueue(message_to("default"))
        database = BrokerDebug(broker).database
        assert isinstance(database, PostgresqlDatabase)
        questions: dict[str, Callable[[], object]] = {
            "writer": lambda: database.writer(5.0).session.run("SELECT 1"),
            "reader": lambda: database.read("SELECT 1"),
            "listener": lambda: database.read("SELECT 1", by_writer=True),
        }
        ask = questions[role]
        ask()
        proxy.cut()
        with (
            monkeypatch.context() as impatient,
            pytest.raises(DatabaseUnavailable, match=r"not answered|timeout expired"),  # by a second connection
        ):
            impatient.setattr("broker.postgresql.bounded_connection.ANSWER_TIMEOUT_S", 0.5)
            ask()
        proxy.reconnect()
        ask()
        assert broker.get_queue_message_counts("default") == (1, 0, 0)
    proxy.close()


def test_processes_in_two_schemas_of_a_database_do_not_take_each_other_for_themselves(database_url: str) -> None:
    """Both have the number 1."""
    urls = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        for schema in ("one", "two"):
            connection.execute(f"CREATE SCHEMA {schema}")
            urls.append(f"{database_url}?options=-csearch_path%3D{schema}")
    dying, living, looking = (PostgresqlBroker(url, middleware=[]) for url in (urls[0], urls[1], urls[0]))
    for broker in (dying, living):
        broker.declare_queue("default")
        broker.consume("default")
        assert [process.id for process in broker.admin.consumers()] == [1]
    BrokerDebug(dying).die()
    wait_for(lambda: looking.admin.consumers() == [], "the end of the first", 20)
    assert [process.id for process in living.admin.consumers()] == [1]
    for broker in (living, looking):
        broker.close()


def test_a_process_that_only_sends_has_one_connection(database_url: str) -> None:
    with closing(PostgresqlBroker(database_url, middleware=[])) as sender:
        sender.declare_queue("default")
        sender.enqueue(message_to("default"))
        sender.enqueue(message_to("default"))
        with psycopg.connect(database_url, autocommit=True) as connection:
            names = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'broker %'"
            assert connection.execute(names).fetchall() == [("broker writer",)]
            [(number,)] = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'broker writer' AND state = 'idle'"
            ).fetchall()
            assert number == 1  # no transaction stays open
