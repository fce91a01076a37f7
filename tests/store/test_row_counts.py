"""Numbers of rows by status stay exact, and reading them costs the same however many rows there are."""

from __future__ import annotations

import random

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Table, func, select

from store import Store, accounts, jobs, publications, row_counts, segments, tables
from store.migrations.versions import v0016_row_counts
from store.states import JobStatus, PublicationStatus
from tests.store import rows
from tests.store.query_cost import counted

COUNTED = (tables.jobs, tables.job_segments, tables.publications, tables.deliveries, tables.notice_deliveries)


def _recounted(connection: Connection) -> dict[tuple[str, str], int]:
    posts = tables.publications.c
    query = select(posts.platform, posts.status, func.count()).group_by(posts.platform, posts.status)
    return {(platform, status): count for platform, status, count in connection.execute(query)}


def _insert(connection: Connection, number: int) -> None:
    part = rows.segment(1, job_id=f"job-{number}")
    jobs.create(connection, rows.job(part.job_id))
    segments.create(connection, [part])
    owners = [rows.account(f"{name}-1", name) for name in ("tiktok", "youtube")]
    publications.create(connection, [rows.publication(part, owner) for owner in owners])


def _connect(connection: Connection) -> None:
    for name in ("tiktok", "youtube"):
        accounts.connect(connection, rows.account(f"{name}-1", name))


def test_counts_stay_exact_through_inserts_updates_deletions_and_rollbacks(store: Store) -> None:
    chance = random.Random(7)
    posts = tables.publications
    with store.writing(scope="everything") as connection:
        _connect(connection)
    for number in range(60):
        try:
            with store.writing(scope="everything") as connection:
                _insert(connection, number)
                some = posts.c.segment_id.in_([f"job-{chance.randrange(60)}-1" for _ in range(5)])
                status = chance.choice(list(PublicationStatus))
                connection.execute(posts.update().where(some).values(status=status, tries=1))
                connection.execute(posts.delete().where(posts.c.id == f"job-{chance.randrange(60)}-1-youtube-1"))
                if chance.random() < 0.3:
                    raise RuntimeError
        except RuntimeError:
            pass
        with store.reading() as connection:
            assert publications.count_by_status(connection) == _recounted(connection)
    assert len(_recounted_of(store)) > 5


def _recounted_of(store: Store) -> dict[tuple[str, str], int]:
    with store.reading() as connection:
        return _recounted(connection)


@pytest.mark.parametrize("table", COUNTED, ids=lambda table: table.name)
def test_each_counted_table_has_its_triggers(store: Store, table: Table) -> None:
    """A migration that makes the table anew would lose them."""
    with store.reading() as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
        found = {name for (name,) in connection.exec_driver_sql(query, (table.name,))}
    assert found == {f"{table.name}_counted_on_{event}" for event in ("insert", "update", "delete")}


def test_rows_that_were_there_before_the_migration_are_counted(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        _connect(connection)
        _insert(connection, 1)
        for table in COUNTED:
            for event in ("insert", "update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER {table.name}_counted_on_{event}")
        connection.exec_driver_sql("DROP TABLE row_counts")
        connection.exec_driver_sql("DROP TABLE stage_durations")
        with Operations.context(MigrationContext.configure(connection)):
            v0016_row_counts.upgrade()
    with store.reading() as connection:
        assert publications.count_by_status(connection) == {("tiktok", "waiting"): 1, ("youtube", "waiting"): 1}
        assert jobs.count_by_status(connection) == {"processing": 1}


def test_counts_are_never_negative_when_all_tables_are_emptied(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job())
        connection.execute(tables.row_counts.delete())
        connection.execute(tables.jobs.delete())
        jobs.create(connection, rows.job(status=JobStatus.COMPLETED))
    with store.reading() as connection:
        assert jobs.count_by_status(connection) == {"completed": 1}


def test_reading_counts_costs_the_same_however_many_rows_there_are(store: Store) -> None:
    costs = []
    for known, wanted in ((0, 3), (3, 1500)):
        with store.writing(scope="everything") as connection:
            if known == 0:
                _connect(connection)
            for number in range(known, wanted):
                _insert(connection, number)
        with store.reading() as connection:
            publications.count_by_status(connection)
            with counted(connection) as cost:
                assert sum(publications.count_by_status(connection).values()) == 2 * wanted
                row_counts.by_status(connection, tables.jobs)
                row_counts.by_status(connection, tables.job_segments)
            costs.append(cost.hundreds)
    assert costs[1] <= costs[0] + 1
