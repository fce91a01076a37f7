"""The order of publications on each account: what may go next, and what finding it costs."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from broker import WriteLock
from store import Store, accounts, jobs, post_times, publication_queue, publications, segments, tables
from store.publication_queue import QueuedPublication
from store.sqlite import SqliteStore
from store.states import PUBLICATION_OVER, AfterFailure, PublicationStatus, ReviewReason, SegmentStatus
from tests.store.query_cost import counted, query_plans, traced
from tests.store.rows import NOON, account, job, publication, segment


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store for many examples, each of which empties it: migrating one takes longer than an example."""
    path = tmp_path_factory.mktemp("turns") / "s"
    store = SqliteStore(path, write_lock=WriteLock(path), joining=lambda _: nullcontext())
    store.migrate()
    yield store
    store.close()


@given(
    statuses=st.lists(st.sampled_from(sorted(PublicationStatus)), min_size=1, max_size=5),
    after_failure=st.sampled_from(AfterFailure),
    rendered=st.lists(st.booleans(), min_size=5, max_size=5),
    held=st.lists(st.booleans(), min_size=5, max_size=5),
    approved=st.none() | st.lists(st.booleans(), min_size=5, max_size=5),
    wanted_now=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_turns_follow_the_parts_numbers(
    shared_store: Store,
    statuses: list[PublicationStatus],
    after_failure: AfterFailure,
    rendered: list[bool],
    held: list[bool],
    approved: list[bool] | None,
    wanted_now: list[bool],
) -> None:
    """Whatever the states: at most one goes next, it waits, its file is there, and all before it are over.

    Nor was one before it not published, unless the account goes on then. It is approved if its job needs approval, and
    nobody holds it; and only such a one can be started.
    """
    store = shared_store
    with store.writing(scope="everything") as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(table.delete())
        reasons: list[str] | None = None if approved is None else [ReviewReason.REQUESTED]
        jobs.create(connection, replace(job(parts=len(statuses)), review_reasons=reasons))
        accounts.connect(connection, replace(account(), after_failure=after_failure))
        for number, status in enumerate(statuses, 1):
            part = segment(number, status=SegmentStatus.READY if rendered[number - 1] else SegmentStatus.RENDERING)
            is_approved = approved is not None and approved[number - 1]
            segments.create(connection, [replace(part, approved_at=NOON if is_approved else None)])
            post = replace(publication(part, account(), status=status), held=held[number - 1])
            wanted_at = NOON if wanted_now[number - 1] else None
            publications.create(connection, [replace(post, publish_now_at=wanted_at)])
    with store.reading() as connection:
        heads = [queued.segment_number for queued in _next(connection)]
    candidates = [
        number
        for number, status in enumerate(statuses, 1)
        if status is PublicationStatus.WAITING
        and rendered[number - 1]
        and not held[number - 1]
        and (approved is None or approved[number - 1])
        and all(before in PUBLICATION_OVER for before in statuses[: number - 1])
        and (
            after_failure is AfterFailure.CONTINUE
            or not {PublicationStatus.FAILED, PublicationStatus.EXPIRED} & {*statuses[: number - 1]}
        )
    ]
    busy = PublicationStatus.PUBLISHING in statuses
    assert heads == ([] if busy else candidates)
    assert len(heads) <= 1
    with store.writing(scope="everything") as connection:
        started = [
            number
            for number, status in enumerate(statuses, 1)
            if publication_queue.start(connection, f"job-{number}-tiktok-1", NOON)
            and not (
                status is PublicationStatus.WAITING and not held[number - 1] and (approved or [True] * 5)[number - 1]
            )
        ]
    assert started == []


def _next(connection: Connection) -> list[QueuedPublication]:
    """Return what may go next, of all accounts."""
    idle = publication_queue.idle_accounts(connection)
    return [queued for each in idle for queued in publication_queue.next_in_order(connection, each.id)]


def test_every_job_is_asked_however_many_there_are(store: Store) -> None:
    """Some may not go; the order is that of the jobs, also between two searches and among jobs of the same moment."""
    count = 3 * publication_queue.JOBS_PER_QUERY
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
        for number in range(count):
            name = f"job{number:03}"
            jobs.create(connection, job(name, minutes=number // 10, parts=2))
            for each in (2, 1):
                status = SegmentStatus.PENDING if number % 7 == 0 else SegmentStatus.READY
                part = segment(each, job_id=name, status=status)
                segments.create(connection, [part])
                publications.create(connection, [publication(part, account())])
    with store.reading() as connection:
        found = [(queued.job_id, queued.segment_number) for queued in _next(connection)]
    assert found == [(f"job{number:03}", 1) for number in range(count) if number % 7]


def test_the_order_of_an_older_database_is_kept(store: Store) -> None:
    """The migration fills the column that new publications get when they are created."""
    _wait(store, jobs_count=1, parts=2)
    with store.writing(scope="everything") as connection:
        [created] = connection.execute(select(tables.publications.c.job_order).distinct()).scalars()
        connection.exec_driver_sql("UPDATE publications SET job_order = NULL")
        connection.exec_driver_sql(importlib.import_module("store.migrations.versions.v0009_publication_order").FILL)
        assert connection.execute(select(tables.publications.c.job_order).distinct()).scalars().all() == [created]


def _wait(store: Store, *, jobs_count: int, parts: int) -> None:
    """Let an account with some published and failed posts have all parts of all jobs waiting."""
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
        for number in range(jobs_count):
            name = f"job{number:03}"
            jobs.create(connection, job(name, minutes=number, parts=parts))
            made = [segment(each, job_id=name, status=SegmentStatus.READY) for each in range(1, parts + 1)]
            segments.create(connection, made)
            publications.create(connection, [publication(part, account()) for part in made])


def _cost(store: Store) -> int:
    """Return what it costs to find the next publication."""
    with store.reading() as connection:
        next(iter(_next(connection)))  # prepares the statements
        with counted(connection) as count:
            assert next(publication_queue.next_in_order(connection, "tiktok-1")).job_id == "job000"
            publication_queue.recent_starts(connection, "tiktok-1", NOON)
            publication_queue.idle_accounts(connection)
    return count.hundreds


def test_the_next_publication_costs_the_same_however_many_wait(store: Store) -> None:
    _wait(store, jobs_count=publication_queue.JOBS_PER_QUERY, parts=2)
    few = _cost(store)
    with store.writing(scope="everything") as connection:
        for table in (tables.publications, tables.job_segments, tables.jobs):
            connection.execute(table.delete())
    _wait(store, jobs_count=2 * publication_queue.JOBS_PER_QUERY, parts=50)
    assert few > 0
    assert _cost(store) <= 1.1 * few


def test_the_next_publication_is_found_by_the_indexes_of_the_order(store: Store) -> None:
    """SQLite uses a partial index only for a query that repeats its condition."""
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
        with traced(connection) as statements:
            list(publication_queue.next_in_order(connection, "tiktok-1"))
            publication_queue.recent_starts(connection, "tiktok-1", NOON)
        plans = query_plans(connection, statements)
    for index, searches in {
        "publications_in_order": 3,
        "publications_not_published": 2,
        "publications_wanted_now": 1,
        "publications_by_start": 1,
    }.items():
        assert sum(f" {index} (" in plan for plan in plans) == searches
    assert [plan for plan in plans if re.match("SCAN (?!walk|CONSTANT)", plan)] == []


def test_the_older_job_goes_first_but_holds_nobody_up(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
        for name, minutes, status in (("old", 0, SegmentStatus.PENDING), ("new", 5, SegmentStatus.READY)):
            jobs.create(connection, job(name, minutes=minutes, parts=1))
            part = segment(1, job_id=name, status=status)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, account())])
        assert [queued.job_id for queued in _next(connection)] == ["new"]
        segments.claim(connection, "old-1", "a", NOON)
        segments.finish(
            connection,
            "old-1",
            "a",
            file_path="jobs/x/part-001.a.mp4",
            duration_s=1,
            size_bytes=1,
            gaze={},
            stage_seconds={},
            rendering={},
            now=NOON,
        )
        assert [queued.job_id for queued in _next(connection)] == ["old", "new"]


def test_what_a_person_wants_now_comes_first(store: Store) -> None:
    """In the order in which it was wanted, and before older jobs; a part that waits for an earlier one does not."""
    _wait(store, jobs_count=4, parts=2)
    wanted = {"job003-1": 2, "job001-1": 1, "job002-2": 0}
    with store.writing(scope="everything") as connection:
        for part, minutes in wanted.items():
            post_times.want_now(connection, f"{part}-tiktok-1", NOON + timedelta(minutes=minutes))
        found = [(queued.job_id, queued.segment_number, queued.publish_now) for queued in _next(connection)]
    assert found == [("job001", 1, True), ("job003", 1, True), ("job000", 1, False), ("job002", 1, False)]
