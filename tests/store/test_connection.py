"""Reading and writing transactions of the store, its migrations, and its tables."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import StatementError

from store import Store, jobs
from store.owners import DEFAULT_OWNER
from store.tables import metadata
from tests.store.rows import job


def test_the_migrations_make_exactly_the_tables_that_the_code_sees(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "store_version"})
        assert [d for d in compare_metadata(context, metadata) if d[0] != "remove_table"] == []


def test_migrating_again_changes_nothing(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
    store.migrate()
    with store.reading() as connection:
        assert jobs.get(connection, "job") == job()


def test_the_broker_can_return_the_space_of_a_new_database_to_the_disk(store: Store) -> None:
    """The store makes the file, and only one made with this setting can shrink (`broker.engine.maintenance`)."""
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_change_that_fails_halfway_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.writing(scope="everything") as connection:
        jobs.create(connection, job())
        raise RuntimeError
    with store.reading() as connection:
        assert jobs.get(connection, "job") is None


def test_a_writer_keeps_other_writers_waiting_and_readers_not(store: Store) -> None:
    written = threading.Event()

    def write() -> None:
        with store.writing(scope="everything") as connection:
            jobs.create(connection, job("second"))
        written.set()

    with store.writing(scope="everything") as connection:
        jobs.create(connection, job("first"))
        other = threading.Thread(target=write)
        other.start()
        with store.reading() as snapshot:
            assert jobs.get(snapshot, "first") is None
        assert not written.wait(0.2)
    other.join(5)
    with store.reading() as connection:
        assert {found.id for found in jobs.page(connection, DEFAULT_OWNER, limit=5)} == {"first", "second"}


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    """It would be somebody's local time, and nobody knows whose."""
    naive = datetime(2026, 11, 22)  # noqa: DTZ001 (that is the point)
    with pytest.raises(StatementError, match="needs its zone"), store.writing(scope="everything") as connection:
        jobs.start(connection, "job", naive)
