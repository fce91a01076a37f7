"""Queries that run each minute, or for each publication that ends, read no whole table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from store import Store, accounts, holds, jobs, publications, segments, steps
from store.states import PublicationStatus, SegmentStatus
from tests.store.query_cost import counted, query_plans, traced
from tests.store.rows import NOON, account, job, publication, segment

Query = Callable[[Connection], object]
QUERIES: dict[str, tuple[Query, str]] = {
    "stalled": (
        lambda connection: steps.stalled(connection, next_before=NOON, next_after=NOON, held_before=NOON),
        "publications_under_way",
    ),
    "waiting_until": (lambda connection: steps.waiting_until(connection, "tiktok", NOON), "publications_under_way"),
    "open_created_before": (
        lambda connection: publications.open_created_before(connection, NOON - timedelta(days=60)),
        "publications_open_by_age",
    ),
    "open_created_before, own times": (
        lambda connection: publications.open_created_before(connection, NOON - timedelta(days=60)),
        "publications_with_own_time",
    ),
    "rendering_started_before": (
        lambda connection: segments.rendering_started_before(connection, NOON),
        "job_segments_not_ended",
    ),
    "clear_retries_after": (
        lambda connection: segments.clear_retries_after(connection, NOON),
        "job_segments_not_ended",
    ),
    "accounts with holds": (lambda connection: holds.list_accounts(connection, "job"), "publications_held"),
    "cause of a hold": (
        lambda connection: holds.find_cause(connection, "job", "tiktok-1"),
        "publications_not_published",
    ),
    "end of a hold": (lambda connection: holds.clear(connection, "job", "tiktok-1"), "publications_held"),
}


def _add_job(store: Store, *, parts: int) -> None:
    """Add a job, all of whose parts wait; the first is under way."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(parts=parts))
        made = [segment(number, status=SegmentStatus.READY) for number in range(1, parts + 1)]
        segments.create(connection, made)
        for part in made:
            status = PublicationStatus.PUBLISHING if part.segment_number == 1 else PublicationStatus.WAITING
            publications.create(connection, [publication(part, account(), status=status)])


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_uses_its_partial_index(store: Store, name: str) -> None:
    query, index = QUERIES[name]
    with store.writing(scope="everything") as connection:
        with traced(connection) as statements:
            query(connection)
        plans = query_plans(connection, statements)
    assert any(f"INDEX {index}" in plan for plan in plans), plans


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_costs_the_same_however_many_wait(store: Store, name: str) -> None:
    query, _ = QUERIES[name]
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
    _add_job(store, parts=500)
    with store.writing(scope="everything") as connection:
        query(connection)
        with counted(connection) as count:
            query(connection)
    assert count.hundreds <= 3


def test_a_cause_is_held_by_the_index_of_the_order(store: Store) -> None:
    """Of 500 parts the one after the cause is found without reading those before it."""
    with store.writing(scope="everything") as connection:
        accounts.connect(connection, account())
    _add_job(store, parts=500)
    with store.writing(scope="everything") as connection:
        steps.fail_crashed(connection, "job-1-tiktok-1", reason="crashed", now=NOON)
        cause = holds.find_cause(connection, "job", "tiktok-1")
        assert cause is not None
        first = holds.first_after(connection, cause)
        with counted(connection) as count:
            assert holds.first_after(connection, cause) == first
    assert first is not None
    assert (first.segment_number, count.hundreds <= 3) == (2, True)
