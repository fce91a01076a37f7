"""The broker on PostgreSQL where it differs: joined transactions, lost servers, lost answers, lost workers."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dramatiq
import psycopg
import pytest
import sqlalchemy
from dramatiq import Message

from broker import CommitOutcomeUnknown, LeaseLost, NotJoined
from broker.errors import DatabaseUnavailable
from broker.postgresql import PostgresqlBroker
from broker.postgresql.database import ConnectionLock, PostgresqlDatabase
from broker.postgresql.schema import LOCK_CLASS
from tests.broker.conftest import message_to, noting, stay, take_from_frozen, wait_until_idle, working
from tests.postgresql_server import PostgresqlServer
from tests.support.server_proxy import ServerProxy
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
JOIN_MS = 30_000


@pytest.fixture
def broker(database_url: str) -> Iterator[PostgresqlBroker]:
    made = PostgresqlBroker(database_url)
    made.emit_after("process_boot")
    dramatiq.set_broker(made)
    yield made
    made.close()


def test_processes_that_find_a_new_database_at_once_make_its_tables_once(postgresql_server: PostgresqlServer) -> None:
    name = postgresql_server.create_database()
    url = postgresql_server.url(name)
    brokers = [PostgresqlBroker(url) for _ in range(3)]
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(url, autocommit=True) as connection, ThreadPoolExecutor() as pool:
        connection.execute("SELECT pg_advisory_lock(%s, 0)", (LOCK_CLASS["migration"],))
        looks = [pool.submit(each.admin.consumers) for each in brokers]
        wait_for(lambda: connection.execute(waiting).fetchone() == (len(brokers),), "all to have seen no tables")
        connection.execute("SELECT pg_advisory_unlock_all()")
        assert [look.result() for look in looks] == [[]] * len(brokers)
    for each in brokers:
        each.close()
    postgresql_server.drop_database(name)


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
def test_messages_share_the_fate_of_a_joined_transaction(
    broker: PostgresqlBroker, database_url: str, ending: str
) -> None:
    seen, note = noting()
    with working(broker), psycopg.connect(database_url, autocommit=True) as connection:
        wait_until_idle(broker, "default")
        connection.execute("BEGIN")
        with broker.joining(connection):
            note.send(1)
            note.send_with_options(args=(2,), concurrency_key="key")
            assert broker.get_queue_message_counts("default") == (0, 0, 0)  # no other connection sees them
            connection.execute(ending)
        broker.join("default", timeout=5000)
    assert sorted(seen) == ([1, 2] if ending == "COMMIT" else [])


def test_sqlalchemy_connections_join_as_well(broker: PostgresqlBroker, database_url: str) -> None:
    _, note = noting()
    engine = sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (id BIGINT)")
        with broker.joining(connection.connection):
            note.send(1)
            connection.commit()
    engine.dispose()
    assert broker.get_queue_message_counts("default") == (1, 0, 0)


def test_a_connection_without_transaction_is_refused(broker: PostgresqlBroker, database_url: str) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        pytest.raises(NotJoined),
        broker.joining(connection),
    ):
        pass


@pytest.mark.logs_errors("dramatiq")
def test_texts_that_the_server_refuses_are_stored_escaped(broker: PostgresqlBroker) -> None:
    @dramatiq.actor(max_retries=0)
    def fail() -> None:
        raise ValueError("a\0b")

    with working(broker):
        fail.send_with_options(concurrency_key="k\0")
        broker.join("default", timeout=JOIN_MS)
    assert [letter.error for letter in broker.admin.dead_letters()] == ["ValueError: a\\0b"]


def test_two_transactions_that_meet_keys_in_different_order_both_end(database_url: str) -> None:
    """Each acknowledges messages of two keys; waiting for the second key with the first one held is a deadlock."""
    brokers = [PostgresqlBroker(database_url, middleware=[]) for _ in range(4)]
    for one in brokers:
        one.declare_queue("default")
    runs = 40
    brokers[0].enqueue_many(
        [message_to("default", concurrency_key=f"key {n % 3}", concurrency_limit=9) for n in range(4 * runs)]
    )

    def work(one: PostgresqlBroker) -> None:
        consumer = one.consume("default", prefetch=6, timeout=500)
        while (message := next(consumer)) is not None:
            consumer.ack(message)
        consumer.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in brokers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [thread.is_alive() for thread in threads] == [False] * 4
    [stats] = brokers[0].admin.queue_stats()
    assert (stats.ready, stats.blocked, stats.leased) == (0, 0, 0)
    for one in brokers:
        one.close()


# A server that is lost.


@pytest.mark.logs_errors("dramatiq")
@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_restarted_server_loses_and_doubles_nothing(own_server: PostgresqlServer, mode: str) -> None:
    broker = PostgresqlBroker(own_server.url(own_server.create_database()))
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    seen, note = noting()
    with working(broker):
        broker.enqueue_many([note.message(number) for number in range(100)])
        wait_for(lambda: len(seen) > 20)
        own_server.stop(mode)
        own_server.start()
        note.send(100)
        broker.join("default", timeout=JOIN_MS)
        wait_until_idle(broker, "default")
        note.send(101)  # by a notification, as the safety net comes every 30 s
        broker.join("default", timeout=JOIN_MS)
    assert set(seen) == set(range(102))
    assert len(seen) == 102  # the process lived, so nothing was given out twice
    broker.close()


@contextmanager
def proxied(server: PostgresqlServer) -> Iterator[ServerProxy]:
    proxy = ServerProxy(server.port)
    try:
        yield proxy
    finally:
        proxy.close()


def through(proxy: ServerProxy, database_url: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{database_url.rpartition('/')[2]}"


def test_a_send_whose_commit_is_not_answered_is_stored_once(
    postgresql_server: PostgresqlServer, database_url: str
) -> None:
    with proxied(postgresql_server) as proxy:
        broker = PostgresqlBroker(through(proxy, database_url), middleware=[])
        broker.declare_queue("default")
        broker.enqueue(message_to("default"))
        proxy.lose_answer_to(b"COMMIT\0")
        broker.enqueue(message_to("default"))
        assert proxy.lost.is_set()
        assert broker.get_queue_message_counts("default") == (2, 0, 0)
        broker.close()


def test_an_acknowledgement_whose_commit_is_not_answered_is_not_repeated(
    postgresql_server: PostgresqlServer, database_url: str
) -> None:
    with proxied(postgresql_server) as proxy:
        broker = PostgresqlBroker(through(proxy, database_url), middleware=[])
        broker.declare_queue("default")
        broker.enqueue_many([message_to("default"), message_to("default")])
        consumer = broker.consume("default", timeout=5000)
        message = next(consumer)
        assert message is not None
        proxy.lose_answer_to(b"COMMIT\0")
        consumer.ack(message)  # the same commit claims the next one, which is handed out
        assert proxy.lost.is_set()
        second = next(consumer)
        assert second is not None
        assert second.message_id != message.message_id
        consumer.ack(second)
        assert broker.get_queue_message_counts("default") == (0, 0, 0)
        broker.close()


def test_a_lost_transaction_is_not_taken_for_one_that_got_its_number_after_a_crash(
    own_server: PostgresqlServer,
) -> None:
    """A number that is not in the WAL when the server crashes is given out again, and that transaction may commit."""
    database = PostgresqlDatabase(own_server.url(), None, ConnectionLock())
    writer = database.writer(5.0)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO broker_paused (queue, since_ms) VALUES ('default', 0)")
    own_server.crash(int(writer.number))
    with pytest.raises(CommitOutcomeUnknown):
        writer.execute("COMMIT")
    assert database.read("SELECT * FROM broker_paused") == []
    database.close(5.0)


def test_a_transaction_with_a_number_that_the_server_has_not_given_out_is_lost(own_server: PostgresqlServer) -> None:
    database = PostgresqlDatabase(own_server.url(), None, ConnectionLock())
    writer = database.writer(5.0)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO broker_paused (queue, since_ms) VALUES ('default', 0)")
    own_server.stop("immediate")
    own_server.start()
    with pytest.raises(DatabaseUnavailable) as raised:
        writer.execute("COMMIT")
    assert not isinstance(raised.value, CommitOutcomeUnknown)
    database.close(5.0)


# Workers that are lost.


@pytest.mark.logs_errors("dramatiq")
def test_a_worker_that_is_cut_off_interrupts_its_actor_before_others_get_the_message(
    postgresql_server: PostgresqlServer, database_url: str
) -> None:
    events: list[str] = []
    with proxied(postgresql_server) as proxy:
        cut_off = PostgresqlBroker(
            through(proxy, database_url), lease_s=3, on_lease_lost=lambda ids: events.append(f"stop {len(ids)} child")
        )
        cut_off.emit_after("process_boot")

        @dramatiq.actor(broker=cut_off, max_retries=0)
        def work() -> None:
            events.append("begin")
            try:
                stay()
            except LeaseLost:
                events.append("interrupted")
                raise

        other = PostgresqlBroker(database_url, lease_s=3)
        other.emit_after("process_boot")

        @dramatiq.actor(broker=other, actor_name="work")
        def work_there() -> None:
            events.append("again")

        work.send()
        with working(cut_off, threads=1):
            wait_for(lambda: events == ["begin"])
            with working(other, threads=1):
                proxy.cut()
                wait_for(lambda: "again" in events, "the message elsewhere", 20)
                proxy.reconnect()
        other.join("default", timeout=JOIN_MS)
        cut_off.close()
        other.close()
    assert events == ["begin", "stop 1 child", "interrupted", "again"]


WORKER = """
    import os, sys, time
    import dramatiq
    from broker.postgresql import PostgresqlBroker
    broker = PostgresqlBroker(sys.argv[1], lease_s=float(sys.argv[2]))
    broker.declare_queue("default")
    consumer = broker.consume("default", timeout=20_000)
    message = next(consumer)
    print("got", flush=True)
    sys.stdin.readline()
    consumer.ack(message)
    print("acknowledged", flush=True)
    sys.stdin.readline()
"""

Start = Callable[[float], "subprocess.Popen[str]"]


@pytest.fixture
def start(database_url: str) -> Iterator[Start]:
    """Start a process that claims one message and acknowledges it when a line comes in."""
    started: list[subprocess.Popen[str]] = []

    def begin(lease_s: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(WORKER), database_url, str(lease_s)]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        with process:
            process.wait(10)


def work(number: int) -> Message[None]:
    return Message(queue_name="default", actor_name="work", args=(number,), kwargs={}, options={})


def test_a_killed_worker_of_this_machine_is_noticed_long_before_its_lease_ends(database_url: str, start: Start) -> None:
    broker = PostgresqlBroker(database_url, lease_s=600, middleware=[])
    broker.declare_queue("default")
    broker.enqueue(work(1))
    victim = start(600)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "got\n"
    consumer = broker.consume("default", timeout=20_000)
    assert {process.pid for process in broker.admin.consumers()} == {victim.pid, os.getpid()}
    victim.kill()
    ours = next(consumer)
    assert ours is not None
    assert ours.held.attempts == 2
    assert [process.pid for process in broker.admin.consumers()] == [os.getpid()]
    consumer.ack(ours)
    broker.close()


def test_a_frozen_worker_cannot_settle_what_was_given_to_another(database_url: str, start: Start) -> None:
    broker = PostgresqlBroker(database_url, lease_s=3, middleware=[])
    broker.declare_queue("default")
    broker.enqueue(work(1))
    frozen = start(3)
    take_from_frozen(broker, frozen, 5000)


@pytest.mark.slow
def test_processes_share_messages_each_exactly_once(database_url: str, tmp_path: Path) -> None:
    """Two worker processes and one sender, thousands of messages, half of them with a key."""
    program = """
        import os, sys
        import dramatiq
        from broker.postgresql import PostgresqlBroker
        broker = PostgresqlBroker(sys.argv[1])
        dramatiq.set_broker(broker)
        out = open(sys.argv[2], "a", buffering=1)
        @dramatiq.actor
        def work(number):
            out.write(f"{number}\\n")
        worker = dramatiq.Worker(broker, worker_threads=8)
        worker.start()
        print("ready", flush=True)
        sys.stdin.readline()
        worker.stop()
        broker.close()
    """
    pipe = subprocess.PIPE
    files = [tmp_path / f"{number}.txt" for number in range(2)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), database_url, str(file)],
            cwd=ROOT,
            stdin=pipe,
            stdout=pipe,
            text=True,
        )
        for file in files
    ]
    broker = PostgresqlBroker(database_url, middleware=[])
    broker.declare_queue("default")
    for one in workers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    messages = [work(number) for number in range(4000)]
    broker.enqueue_many(
        [
            message.copy(options={"concurrency_key": f"key {n % 7}", "concurrency_limit": 2}) if n % 2 else message
            for n, message in enumerate(messages)
        ]
    )
    broker.join("default", timeout=120_000)
    for one in workers:
        one.communicate("\n", timeout=30)
    seen = Counter(int(line) for file in files for line in file.read_text().split())
    assert seen == Counter(range(4000))
    assert all(file.read_text() for file in files)  # both had a part in it
    broker.close()


def test_a_process_with_many_open_files_registers(database_url: str) -> None:
    """The system call `select` refuses descriptors beyond 1,023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2048, hard)), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        broker = PostgresqlBroker(database_url)
        try:
            broker.declare_queue("default")
            consumer = broker.consume("default")
            assert [process.pid for process in broker.admin.consumers()] == [os.getpid()]
            consumer.close()
        finally:
            broker.close()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
