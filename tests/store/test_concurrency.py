"""Writers at the same time on PostgreSQL: what SQLite's write lock keeps apart stays correct without it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from store import (
    Store,
    accounts,
    heartbeats,
    idempotency_keys,
    jobs,
    platform_states,
    post_quotas,
    publications,
    schedules,
    segments,
    sequences,
    stage_durations,
    steps,
    webhooks,
)
from store.boot_clock import BootTime
from store.idempotency_keys import StoredAnswer
from store.locks import LockClass, try_lock
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.post_quotas import PostQuota
from store.schedules import Schedule
from store.scope import covers_account
from store.states import EndpointState, JobStatus, PublicationStatus, SegmentStatus
from store.webhooks import Endpoint
from tests.store.rows import NOON, account, job, publication, segment

WRITERS = 6
BOOT = BootTime("boot", 1.0)


def _together(store: Store, decide: Callable[[Connection, int], object], **scope: object) -> list[object]:
    """Run a decision in several transactions at once; return the results in the order of the numbers."""
    barrier = threading.Barrier(WRITERS)
    results: dict[int, object] = {}

    def run(number: int) -> None:
        barrier.wait()
        try:
            with store.writing(**scope) as connection:  # type: ignore[call-overload]  # one of its names
                found = decide(connection, number)
            results[number] = found
        except Exception as error:  # noqa: BLE001 (the test compares it)
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [results[number] for number in range(WRITERS)]


def _schedule(number: int) -> Schedule:
    return Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=number + 1, min_gap_s=0.0)


WRITES: dict[str, Callable[[Connection, int], object]] = {
    "heartbeat": lambda connection, _: heartbeats.record(connection, "scheduler", NOON, BOOT),
    "platform state": lambda connection, _: platform_states.put(connection, PlatformState(platform="tiktok")),
    "schedule": lambda connection, number: schedules.put(connection, DEFAULT_OWNER, _schedule(number)),
    "schedule of an account": lambda connection, number: schedules.put_of_account(
        connection, "tiktok-1", _schedule(number)
    ),
    "quota": lambda connection, number: post_quotas.put(
        connection, PostQuota(account_id="tiktok-1", total=number, others=0, read_at=NOON)
    ),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_row_that_several_insert_at_once_is_there_once(postgresql: Store, name: str) -> None:
    with postgresql.writing(scope="everything") as connection:
        accounts.connect(connection, account())
    assert _together(postgresql, WRITES[name], scope="rows") == [None] * WRITERS


def test_the_numbers_of_events_rise_without_a_gap(postgresql: Store) -> None:
    found = _together(
        postgresql, lambda connection, _: sequences.next_number(connection, "platform:tiktok"), scope="rows"
    )
    assert sorted(map(str, found)) == [str(number + 1) for number in range(WRITERS)]


def test_every_failure_of_a_platform_is_counted(postgresql: Store) -> None:
    def fail(connection: Connection, _: int) -> None:
        before = platform_states.get_locked(connection, "tiktok")
        count = before.failures_in_a_row + 1
        platform_states.put(connection, PlatformState(platform="tiktok", failures_in_a_row=count))

    _together(postgresql, fail, scope="rows")
    with postgresql.reading() as connection:
        assert platform_states.get(connection, "tiktok").failures_in_a_row == WRITERS


def test_an_address_of_several_uploads_at_once_is_one_endpoint(postgresql: Store) -> None:
    def add(connection: Connection, number: int) -> str:
        return webhooks.add_endpoint(connection, _endpoint(f"ep_{number}")).id

    found = _together(postgresql, add, scope="rows")
    assert len(set(found)) == 1
    with postgresql.reading() as connection:
        assert [one.id for one in webhooks.every_endpoint(connection)] == found[:1]


def _endpoint(endpoint_id: str) -> Endpoint:
    return Endpoint(
        owner_id=DEFAULT_OWNER, id=endpoint_id, url="https://example.com/hook", scope="all", events=[],
        state=EndpointState.ENABLED, secret=b"sealed", created_at=NOON,
    )  # fmt: skip


def test_an_idempotency_key_has_one_answer(postgresql: Store) -> None:
    def accept(connection: Connection, number: int) -> str:
        stored = idempotency_keys.get_locked(connection, "hash", NOON)
        if stored is not None:
            return stored.job_id
        idempotency_keys.add(connection, StoredAnswer(
            key_hash="hash", fingerprint="f", job_id=f"job-{number}", status=202, headers={}, body="{}",
            expires_at=NOON + timedelta(days=1),
        ))  # fmt: skip
        return f"job-{number}"

    assert len(set(_together(postgresql, accept, scope="rows"))) == 1


@pytest.fixture
def publishing(postgresql: Store) -> Store:
    """Return a store with a publication that is under way."""
    with postgresql.writing(scope="everything") as connection:
        owner, part = account(), segment(1, status=SegmentStatus.READY)
        accounts.connect(connection, owner)
        jobs.create(connection, job(status=JobStatus.PUBLISHING, parts=1))
        segments.create(connection, [part])
        publications.create(connection, [publication(part, owner, status=PublicationStatus.PUBLISHING)])
    return postgresql


def test_a_step_is_claimed_by_one_message(publishing: Store) -> None:
    def claim(connection: Connection, number: int) -> bool:
        until = NOON + timedelta(hours=1)
        found = steps.claim(connection, "job-1-tiktok-1", f"message-{number}", "nonce", now=NOON, until=until)
        return found is not None

    assert sorted(_together(publishing, claim, publication="job-1-tiktok-1"), key=str) == [False] * (WRITERS - 1) + [
        True
    ]


def test_tokens_are_refreshed_by_one_process(postgresql: Store) -> None:
    with postgresql.writing(scope="everything") as connection:
        accounts.connect(connection, account())

    def begin(connection: Connection, _: int) -> bool:
        return accounts.lock_refresh(connection, "tiktok-1", now=NOON, until=NOON + timedelta(minutes=2))

    assert sorted(_together(postgresql, begin, accounts=["tiktok-1"]), key=str) == [False] * (WRITERS - 1) + [True]


def test_durations_are_counted_in_any_order_without_a_wait(postgresql: Store) -> None:
    """Two transactions that count the same stages in opposite orders, one step of each at a time."""
    with postgresql.writing(scope="rows") as one, postgresql.writing(scope="rows") as other:
        for connection, stage in ((one, "plan"), (other, "render"), (one, "render"), (other, "plan")):
            stage_durations.observe(connection, stage, 2.0)
    with postgresql.writing(scope="rows") as connection:
        before = stage_durations.histograms(connection)
        stage_durations.compact(connection)
        assert stage_durations.histograms(connection) == before
    assert {stage: found.sum_s for stage, found in before.items()} == {"plan": 4.0, "render": 4.0}


def test_posts_that_another_transaction_changes_are_left_to_it(publishing: Store) -> None:
    """The end of an outage does not wait for them, and so not for transactions that wait for the platform."""
    with publishing.writing(scope="rows") as connection:
        steps.schedule(connection, "job-1-tiktok-1", NOON)
    with publishing.writing(scope="rows") as one, publishing.writing(scope="rows") as other:
        assert [found.id for found in steps.waiting_until(one, "tiktok", NOON)] == ["job-1-tiktok-1"]
        assert steps.waiting_until(other, "tiktok", NOON) == []


def test_a_transaction_decides_about_the_accounts_that_it_has_locked(publishing: Store) -> None:
    with publishing.writing(job="job") as connection:
        assert covers_account(connection, "tiktok-1")
        assert not covers_account(connection, "tiktok-2")
    with publishing.writing(scope="everything") as connection:
        assert covers_account(connection, "tiktok-2")


def test_an_endpoint_is_decided_about_by_one_transaction(postgresql: Store) -> None:
    with postgresql.writing(endpoint="ep") as one, postgresql.writing(scope="rows") as other:
        assert try_lock(one, LockClass.ENDPOINT, "ep")
        assert not try_lock(other, LockClass.ENDPOINT, "ep")
    with postgresql.writing(scope="rows") as connection:
        assert try_lock(connection, LockClass.ENDPOINT, "ep")
