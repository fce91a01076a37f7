"""Each change of state happens once, also with concurrent attempts, and the last part closes its job."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from store import Store, accounts, jobs, locks, publication_queue, publications, segments, steps
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.store.rows import NOON, account, job, publication, segment

ROOT = Path(__file__).resolve().parents[2]
LATER = NOON + timedelta(minutes=15)


@pytest.fixture
def store(engine: Store) -> Store:
    """Run each test on both engines."""
    return engine


def _talk(connection: Connection, *, parts: int = 2, ready: bool = False) -> None:
    jobs.create(connection, job(parts=parts))
    status = SegmentStatus.READY if ready else SegmentStatus.PENDING
    made = [segment(number, status=status) for number in range(1, parts + 1)]
    segments.create(connection, made)
    accounts.connect(connection, account())
    publications.create(connection, [publication(part, account()) for part in made])


def test_a_claim_made_again_shuts_the_first_attempt_out(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        _talk(connection)
        assert segments.claim(connection, "job-1", "first", NOON)
        assert segments.claim(connection, "job-1", "second", NOON)
        done = {
            "file_path": "p",
            "duration_s": 20.0,
            "size_bytes": 1,
            "gaze": {},
            "stage_seconds": {},
            "rendering": {},
            "now": NOON,
        }
        assert not segments.finish(connection, "job-1", "first", **done)  # type: ignore[arg-type]  # a mixed bag
        assert segments.finish(connection, "job-1", "second", **done)  # type: ignore[arg-type]  # a mixed bag
        assert not segments.claim(connection, "job-1", "third", NOON)


def test_of_parts_that_end_together_exactly_one_closes_the_job(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        _talk(connection, parts=8)
    closers: list[int] = []

    def end(number: int) -> None:
        with store.writing(scope="everything") as connection:
            assert segments.fail(connection, f"job-{number}", reason="test", now=NOON)
            if jobs.close_parts(connection, "job"):
                closers.append(number)

    threads = [threading.Thread(target=end, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(closers) == 1


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["published", "published"], JobStatus.COMPLETED),
        (["published", "action_needed"], JobStatus.COMPLETED),
        (["published", "failed"], JobStatus.COMPLETED_WITH_ERRORS),
        (["failed", "expired"], JobStatus.FAILED),
        (["published", "outcome_unknown"], None),
        (["published", "waiting"], None),
    ],
)
def test_a_job_ends_as_its_publications_did(store: Store, outcomes: list[str], expected: JobStatus | None) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.PUBLISHING))
        accounts.connect(connection, account())
        for number, outcome in enumerate(outcomes, 1):
            part = segment(number, status=SegmentStatus.READY)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, account(), status=PublicationStatus(outcome))])
        assert jobs.close(connection, "job", NOON) == expected
        assert jobs.close(connection, "job", NOON) is None


def test_a_step_has_one_holder_and_a_predecessor_of_the_same_name_is_seen(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        _talk(connection, ready=True)
        name = "job-1-tiktok-1"
        assert steps.claim(connection, name, "message", "a", now=NOON, until=LATER) is None  # it still waits
        assert publication_queue.start(connection, name, NOON)
        first = steps.claim(connection, name, "message", "a", now=NOON, until=LATER)
        again = steps.claim(connection, name, "message", "a", now=NOON, until=LATER)
        other = steps.claim(connection, name, "other", "b", now=NOON, until=LATER)
        after = steps.claim(connection, name, "other", "b", now=LATER + timedelta(seconds=1), until=LATER)
    assert first is not None
    assert first.holder is None
    assert again is not None
    assert again.holder == "message/a"
    assert other is None
    assert after is not None
    assert after.holder == "message/a"


def test_who_lost_the_right_to_a_step_records_nothing(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        _talk(connection, ready=True)
        name = "job-1-tiktok-1"
        publication_queue.start(connection, name, NOON)
        steps.claim(connection, name, "frozen", "a", now=NOON, until=LATER)
        steps.claim(connection, name, "other", "b", now=LATER + timedelta(seconds=1), until=LATER)
        assert not steps.advance(connection, name, "frozen/a", step="poll", handle=b"", next_at=NOON)
        assert not steps.end(connection, name, "frozen/a", PublicationStatus.PUBLISHED, now=NOON)


def test_retrying_touches_only_what_failed(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(status=JobStatus.COMPLETED_WITH_ERRORS))
        accounts.connect(connection, account())
        for number, status in ((1, PublicationStatus.PUBLISHED), (2, PublicationStatus.FAILED)):
            part = segment(number, status=SegmentStatus.DONE)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, account(), status=status)])
        assert jobs.reopen(connection, "job", JobStatus.PROCESSING, NOON)
        failed = publications.unpublished(connection, "job")
        assert [one.segment_number for one in failed] == [2]
        publications.restart(connection, [one.id for one in failed], NOON)
        segments.reopen(connection, "job")
        assert [p.status for p in publications.of_job(connection, "job")] == ["published", "waiting"]
        assert [s.status for s in segments.of_job(connection, "job")] == ["done", "ready"]


def test_sums_are_numbers_of_the_columns_type(store: Store) -> None:
    """PostgreSQL sums whole numbers up to decimal ones, which cannot be multiplied by a float."""
    with store.writing(scope="everything") as connection:
        assert [type(number) for number in jobs.unplanned(connection)] == [int, int]
        _talk(connection)
        jobs.create(connection, job("waits"))
        found = [
            *jobs.unplanned(connection),
            *segments.unrendered(connection),
            *jobs.count_by_status(connection).values(),
        ]
    assert {type(number) for number in found} == {int, float}


def test_every_sum_is_made_in_one_place() -> None:
    sources = {path.name: path.read_text() for path in (ROOT / "store").glob("*.py")}
    assert [name for name, text in sources.items() if "func.sum(" in text] == ["rows.py"]


@pytest.mark.parametrize("name", ["\0", "a\0b", "\ud800", "😀", "", "x" * 10_000])
def test_a_scope_may_have_any_name_of_a_request(store: Store, name: str) -> None:
    scopes: list[dict[str, Any]] = [
        {"job": name}, {"job": "job", "accounts": [name]}, {"part": name}, {"publication": name}, {"accounts": [name]},
        {"endpoint": name},
    ]  # fmt: skip
    for scope in scopes:
        with store.writing(**scope) as connection:
            locks.lock(connection, locks.LockClass.PLATFORM, name)
            assert locks.try_lock(connection, locks.LockClass.ENDPOINT_URL, name)
