"""Locks by scope, sums of counts and server errors of a store with concurrent writers."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace

import pytest
from sqlalchemy import select

from broker.postgresql import connect
from store import CommitUnclear, DatabaseUnavailable, Store, jobs, row_counts, segments
from store.postgresql import PostgresqlStore
from store.states import JobStatus, SegmentStatus
from store.tables import jobs as table
from tests.postgresql_server import PostgresqlServer
from tests.store.conftest import store_url
from tests.store.rows import NOON, job, segment
from tests.support.server_proxy import ServerProxy
from tests.support.waiting import wait_for

KEEPALIVE = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)


@contextmanager
def proxied(server: PostgresqlServer) -> Iterator[ServerProxy]:
    proxy = ServerProxy(server.port)
    try:
        yield proxy
    finally:
        proxy.close()


def test_of_parts_that_end_together_exactly_one_closes_the_job(postgresql: Store) -> None:
    """Only the lock of the job keeps each from seeing the others' parts as open."""
    with postgresql.writing(job="job") as connection:
        jobs.create(connection, job(parts=8))
        segments.create(connection, [segment(number, status=SegmentStatus.PENDING) for number in range(1, 9)])
    closers: list[JobStatus] = []
    together = threading.Barrier(8)

    def end(number: int) -> None:
        together.wait()
        with postgresql.writing(part=f"job-{number}") as connection:
            assert segments.fail(connection, f"job-{number}", reason="test", now=NOON)
            if status := jobs.close_parts(connection, "job"):
                closers.append(status)

    threads = [threading.Thread(target=end, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert closers == [JobStatus.PUBLISHING]


def test_counts_stay_exact_when_their_rows_are_added_up(postgresql: Store) -> None:
    with postgresql.writing(scope="rows") as connection:
        for number in range(5):
            jobs.create(connection, job(f"job-{number}"))
        jobs.cancel(connection, "job-1", NOON)
        before = jobs.count_by_status(connection)
        row_counts.compact(connection)
        assert jobs.count_by_status(connection) == before == {"processing": 4, "cancelled": 1}
        assert row_counts.by_status(connection, table) == before


def test_migrating_again_changes_nothing(postgresql: Store) -> None:
    with postgresql.writing(job="job") as connection:
        jobs.create(connection, job())
    postgresql.migrate()
    postgresql.require_usable()
    with postgresql.reading() as connection:
        assert jobs.get(connection, "job") == job()


def test_a_commit_changes_the_version_of_the_data(postgresql: Store) -> None:
    before = postgresql.data_version()
    assert postgresql.data_version() == before
    with postgresql.writing(job="job") as connection:
        jobs.create(connection, job())
    assert postgresql.data_version() != before


def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = PostgresqlStore(
        "postgresql+psycopg://postgres@127.0.0.1:1/none", connect=connect, joining=lambda _: nullcontext()
    )
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"), store.reading():
        pass
    store.close()


def test_a_commit_whose_answer_is_lost_is_found_committed(server: PostgresqlServer, migrated: str) -> None:
    """The caller sees no error, and the row is there once."""
    name = server.create_database(migrated)
    proxy = ServerProxy(server.port)
    url = store_url(server, name).replace(f":{server.port}/", f":{proxy.port}/")
    store = PostgresqlStore(url, connect=connect, joining=lambda _: nullcontext())
    with store.writing(job="job") as connection:
        jobs.create(connection, job())
        proxy.lose_answer_to(b"COMMIT")
    assert proxy.lost.is_set()
    with store.reading() as connection:
        assert jobs.get(connection, "job") == job()
    store.close()
    proxy.close()
    server.drop_database(name)


def test_a_session_that_ends_before_its_commit_writes_nothing(postgresql: Store) -> None:
    with pytest.raises(DatabaseUnavailable) as error, postgresql.writing(job="job") as connection:
        jobs.create(connection, job())
        session = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with postgresql.reading() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({session}, 5000)")
    assert error.value.reason == "unreachable"
    with postgresql.reading() as connection:
        assert jobs.get(connection, "job") is None


def test_transactions_about_one_job_or_account_wait_and_about_others_do_not(postgresql: Store) -> None:
    began, ended = threading.Event(), threading.Event()

    def write() -> None:
        began.set()
        with postgresql.writing(accounts=["a", "b"]):
            ended.set()

    with postgresql.writing(job="job", accounts=["b"]):
        with postgresql.writing(job="another", accounts=["c"]), postgresql.writing(scope="rows"):
            pass
        other = threading.Thread(target=write)
        other.start()
        assert began.wait(10)
        _wait_for_a_lock(postgresql)
        assert not ended.is_set()
    other.join(10)
    assert ended.is_set()


def _wait_for_a_lock(store: Store) -> None:
    """Wait until a session of the database waits for an advisory lock."""
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
        "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )

    def waits() -> bool:
        with store.reading() as connection:
            return connection.exec_driver_sql(query).scalar() == 1

    wait_for(waits)


def test_a_text_with_a_nul_character_is_stored(postgresql: Store) -> None:
    """SQLite takes it: from a form, or from what a platform has answered."""
    with postgresql.writing(job="job") as connection:
        jobs.create(connection, replace(job(), title="a\0b", metadata={"key": "c\0d"}))
    with postgresql.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert (found.title, found.metadata) == ("a?b", {"key": "c\0d"})


def test_a_commit_of_which_the_server_cannot_be_asked_is_unclear(
    server: PostgresqlServer, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.postgresql.UNCLEAR_S", 0.5)
    name = server.create_database(migrated)
    proxy = ServerProxy(server.port)
    url = store_url(server, name).replace(f":{server.port}/", f":{proxy.port}/")
    store = PostgresqlStore(url, connect=connect, joining=lambda _: nullcontext())
    with pytest.raises(CommitUnclear), store.writing(job="job") as connection:
        jobs.create(connection, job())
        proxy.refuses.set()
        proxy.lose_answer_to(b"COMMIT")
    store.close()
    proxy.close()
    server.drop_database(name)


def test_a_lost_transaction_is_not_taken_for_one_that_got_its_number_after_a_crash(
    own_server: PostgresqlServer,
) -> None:
    """A number that is not in the WAL when the server crashes is given out again, and that transaction may commit."""
    store = PostgresqlStore(store_url(own_server, "postgres"), connect=connect, joining=lambda _: nullcontext())
    store.migrate()
    with pytest.raises(CommitUnclear), store.writing(job="job") as connection:
        jobs.create(connection, job())
        number = connection.exec_driver_sql("SELECT pg_current_xact_id()::text").scalar_one()
        own_server.crash(int(number))
    with store.reading() as connection:
        assert jobs.get(connection, "job") is None
    store.close()


def test_a_transaction_with_a_number_that_the_server_has_not_given_out_is_lost(own_server: PostgresqlServer) -> None:
    store = PostgresqlStore(store_url(own_server, "postgres"), connect=connect, joining=lambda _: nullcontext())
    store.migrate()
    with pytest.raises(DatabaseUnavailable), store.writing(job="job") as connection:
        jobs.create(connection, job())
        own_server.stop("immediate")
        own_server.start()
    store.close()


def test_a_worker_waits_for_a_server_that_is_not_there(migrated: str, server: PostgresqlServer) -> None:
    """A post that is out must be recorded; any other thread gets an error at once."""
    name = server.create_database(migrated)
    waits: list[str] = []

    def waits_again() -> bool:
        waits.append("unreachable")
        if len(waits) == 1:
            return False
        server.start()
        return True

    store = PostgresqlStore(
        store_url(server, name), connect=connect, joining=lambda _: nullcontext(), waits_again=waits_again
    )
    server.stop("immediate")
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"), store.writing(job="job"):
        pass
    with store.writing(job="job") as connection:
        jobs.create(connection, job())
    assert len(waits) == 2
    with store.reading() as connection:
        assert jobs.get(connection, "job") == job()
    store.close()
    server.drop_database(name)


def test_a_standby_is_a_server_that_is_away(own_server: PostgresqlServer) -> None:
    """A worker waits until the server is the primary again; readers are not served from a copy that may be behind."""
    server = own_server
    waits: list[str] = []

    def waits_again() -> bool:
        waits.append("standby")
        if len(waits) == 1:
            return False
        server.promote()
        return True

    url = store_url(server, server.create_database())
    store = PostgresqlStore(url, connect=connect, joining=lambda _: nullcontext(), waits_again=waits_again)
    store.migrate()
    server.become_standby()
    for transaction in (store.writing(job="job"), store.reading()):
        with pytest.raises(DatabaseUnavailable) as error, transaction:
            pass
        assert error.value.reason == "unreachable"
    with store.writing(job="another") as connection:
        jobs.create(connection, job("another"))
    assert waits == ["standby"] * 2
    store.close()


def test_a_database_that_becomes_read_only_is_away_until_it_can_be_written(postgresql: PostgresqlStore) -> None:
    """As some providers set it when the disk is nearly full; open sessions are told, too."""
    with postgresql.writing(job="job") as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql("SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailable) as error, postgresql.writing(job="job") as connection:
        jobs.create(connection, job())
    assert error.value.reason == "unreachable"
    with postgresql.writing(job="job") as connection:  # by another session
        assert connection.exec_driver_sql("SELECT current_database()").scalar() == name
        jobs.create(connection, job())


def test_a_server_that_stops_answering_is_noticed(
    server: PostgresqlServer, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is frozen: its kernel confirms what is sent, so that no limit of TCP ends the wait."""
    name = server.create_database(migrated)
    with proxied(server) as proxy:
        url = store_url(server, name).replace(f":{server.port}/", f":{proxy.port}/")
        store = PostgresqlStore(url, connect=connect, joining=lambda _: nullcontext())
        for transaction in (store.writing(job="job"), store.reading()):
            with pytest.raises(DatabaseUnavailable) as error, transaction as connection:
                proxy.cut()
                with monkeypatch.context() as impatient:
                    impatient.setattr("broker.postgresql.bounded_connection.ANSWER_TIMEOUT_S", 0.5)
                    jobs.get(connection, "job")
            assert error.value.reason == "unreachable"
            proxy.reconnect()
        with store.reading() as connection:
            assert jobs.get(connection, "job") is None
        store.close()
    server.drop_database(name)


def test_a_migration_and_a_patient_store_wait_longer_for_an_answer(
    server: PostgresqlServer, postgresql: PostgresqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index of a large table, or the COMMIT of a whole installation, may take longer than any other statement."""
    with postgresql.reading() as connection:
        name = str(connection.exec_driver_sql("SELECT current_database()").scalar())
    url = store_url(server, name)
    patient = PostgresqlStore(url, connect=connect, joining=lambda _: nullcontext(), answer_timeout_s=math.inf)
    monkeypatch.setattr("broker.postgresql.bounded_connection.ANSWER_TIMEOUT_S", 0.5)

    def write() -> None:
        with patient.writing(job="job") as connection:
            jobs.create(connection, job())

    with ThreadPoolExecutor() as threads:
        with postgresql.writing(scope="everything"):
            waiting = [threads.submit(patient.migrate), threads.submit(postgresql.migrate), threads.submit(write)]
            with closing(PostgresqlStore(url, connect=connect, joining=lambda _: nullcontext())) as other:
                for _ in range(2):
                    with pytest.raises(DatabaseUnavailable, match="cannot be reached"), other.writing(job="job"):
                        pass
            assert not any(each.done() for each in waiting)
        for each in waiting:
            each.result(30)
    with closing(patient), patient.reading() as connection:
        assert jobs.get(connection, "job") == job()


def test_a_server_that_never_answers_a_new_connection_is_away(server: PostgresqlServer) -> None:
    with proxied(server) as proxy:
        proxy.cut()
        url = f"{store_url(server, 'postgres')}?connect_timeout=2".replace(f":{server.port}/", f":{proxy.port}/")
        store = PostgresqlStore(url, connect=connect, joining=lambda _: nullcontext())
        with pytest.raises(DatabaseUnavailable) as error, store.reading():
            pass
        assert error.value.reason == "unreachable"
        store.close()


def test_an_idle_peer_that_has_vanished_is_noticed_by_the_kernel(postgresql: PostgresqlStore) -> None:
    """A connection that only waits for an answer sends nothing that could remain unconfirmed."""
    with postgresql.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as one:
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            times = [one.getsockopt(socket.IPPROTO_TCP, name) for name in KEEPALIVE]
            assert times[0] + times[1] * times[2] <= 15
            assert 0 < one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000


def test_nothing_stays_in_a_session(postgresql: Store) -> None:
    """PgBouncer in transaction mode gives the session to another client then."""
    limits = "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')"
    for number in range(8):  # psycopg prepares a statement when it is repeated
        with postgresql.writing(job=f"job-{number}") as connection:
            jobs.create(connection, job(f"job-{number}"))
            assert connection.exec_driver_sql(limits).one() == ("10s", "1min")
            connection.exec_driver_sql("COMMIT")
            assert connection.exec_driver_sql(limits).one() == ("0", "0")
            assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0
            connection.exec_driver_sql("BEGIN")


def test_a_number_that_json_has_no_word_for_is_stored_as_null(postgresql: Store) -> None:
    """A measurement of a report may be one; PostgreSQL refuses it, and the part would fail."""
    report = {"share": math.nan, "degrees": [1.5, math.inf], "person": {"far": -math.inf}, "NUL \0": "\ud800"}
    with postgresql.writing(job="job") as connection:
        jobs.create(connection, job())
        connection.execute(table.update().values(metadata=report))
        [stored] = connection.execute(select(table.c.metadata)).one()
    assert stored == {"share": None, "degrees": [1.5, None], "person": {"far": None}, "NUL \0": "\ud800"}
