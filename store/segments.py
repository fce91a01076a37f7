"""Segments: the rows of a video's parts, and the claims on their rendering."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, func, or_, select, update

from store import row_counts, rows
from store.attempts import MediaAttempt, encode_attempts
from store.partial_indexes import is_not_ended
from store.states import PUBLICATION_OVER, PUBLICATION_SUCCEEDED, PublicationStatus, SegmentStatus
from store.tables import job_segments, publication_history, publications


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One part. Columns are explained in `store.tables`."""

    id: str
    job_id: str
    segment_number: int
    file_path: str
    duration: float | None
    status: SegmentStatus
    start_s: float
    span: Any  # Any: opaque JSON
    cut_reason: str
    progress: float = 0.0
    attempt: str | None = None
    attempts: list[dict[str, Any]] | None = None  # Any: `store.attempts`' JSON
    retry_at: datetime | None = None
    asked_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    gaze: dict[str, Any] | None = None  # Any: `media.gaze`'s JSON
    reason: str | None = None
    size_bytes: int | None = None
    stage_seconds: dict[str, float] | None = None
    rendering: dict[str, Any] | None = None  # Any: as above
    files_deleted_at: datetime | None = None
    gaze_intensity: float | None = None
    approved_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", SegmentStatus(self.status))


def create(connection: Connection, parts: Iterable[Segment]) -> None:
    """Insert the planned parts of a job."""
    for part in parts:
        values = {name: getattr(part, name) for name in Segment.__dataclass_fields__}
        connection.execute(job_segments.insert().values(**values))


def clear_numbers(connection: Connection, job_id: str) -> None:
    """Make the numbers of a job's parts negative, so that others can be given to all of them, one by one."""
    change = update(job_segments).where(job_segments.c.job_id == job_id, job_segments.c.segment_number > 0)
    connection.execute(change.values(segment_number=-job_segments.c.segment_number))


def set_number(connection: Connection, segment_id: str, number: int) -> None:
    """Store the number of a part and its publications."""
    connection.execute(update(job_segments).where(job_segments.c.id == segment_id).values(segment_number=number))
    connection.execute(
        update(publications).where(publications.c.segment_id == segment_id).values(segment_number=number)
    )


def delete(connection: Connection, segment_ids: Collection[str]) -> None:
    """Delete parts, and their publications with their histories."""
    gone = select(publications.c.id).where(publications.c.segment_id.in_(segment_ids))
    connection.execute(publication_history.delete().where(publication_history.c.publication_id.in_(gone)))
    connection.execute(publications.delete().where(publications.c.segment_id.in_(segment_ids)))
    connection.execute(job_segments.delete().where(job_segments.c.id.in_(segment_ids)))


def get(connection: Connection, segment_id: str) -> Segment | None:
    """Return a part, or None."""
    return rows.fetch_one(connection, select(job_segments).where(job_segments.c.id == segment_id), Segment)


def of_job(connection: Connection, job_id: str) -> list[Segment]:
    """Return the parts of a job in order."""
    query = select(job_segments).where(job_segments.c.job_id == job_id).order_by(job_segments.c.segment_number)
    return rows.fetch_all(connection, query, Segment)


def rendering_started_before(connection: Connection, before: datetime) -> list[Segment]:
    """Return the parts whose rendering began before the given moment and has not ended."""
    query = select(job_segments).where(
        is_not_ended(job_segments),  # for the index
        job_segments.c.status == SegmentStatus.RENDERING,
        job_segments.c.started_at < before,
    )
    return rows.fetch_all(connection, query, Segment)


def reset_started_at(connection: Connection, segment_id: str, now: datetime) -> None:
    """Restart the time of a rendering whose message was sent again."""
    connection.execute(update(job_segments).where(job_segments.c.id == segment_id).values(started_at=now))


def claim(
    connection: Connection, segment_id: str, attempt: str, now: datetime, *, attempts: Sequence[MediaAttempt] = ()
) -> bool:
    """Claim a part for rendering; False if it has ended.

    A part that is being rendered can be claimed again: its message was redelivered because its process was lost. If
    that process continues, its attempt's token is no longer current, and its result is dropped.

    Args:
        connection: inside `Store.writing`.
        segment_id: the part's id.
        attempt: the token of this attempt.
        now: the time at which it begins.
        attempts: all earlier attempts, including an interrupted one.
    """
    change = update(job_segments).where(
        job_segments.c.id == segment_id,
        job_segments.c.status.in_({SegmentStatus.PENDING, SegmentStatus.RENDERING}),
    )
    values = {
        "status": SegmentStatus.RENDERING, "attempt": attempt, "started_at": now, "progress": 0.0,
        "attempts": encode_attempts(attempts), "retry_at": None, "reason": None,
    }  # fmt: skip
    return connection.execute(change.values(**values)).rowcount == 1


def release(connection: Connection, segment_id: str, attempt: str) -> bool:
    """Release a claim without recording an attempt; False if the claim is no longer current."""
    return connection.execute(_current(segment_id, attempt).values(attempt=None, progress=0.0)).rowcount == 1


def record_failed_attempt(
    connection: Connection,
    segment_id: str,
    attempt: str,
    *,
    attempts: Sequence[MediaAttempt],
    retry_at: datetime | None,
    reason: str,
) -> bool:
    """Record a failed attempt, after which the part waits; False if the claim is no longer current."""
    values = {
        "status": SegmentStatus.PENDING, "attempt": None, "progress": 0.0, "attempts": encode_attempts(attempts),
        "retry_at": retry_at, "reason": reason,
    }  # fmt: skip
    return connection.execute(_current(segment_id, attempt).values(**values)).rowcount == 1


def clear_retries_after(connection: Connection, moment: datetime) -> list[Segment]:
    """Clear the `retry_at` of parts whose rendering is retried after a moment; return them."""
    is_pending = job_segments.c.status == SegmentStatus.PENDING
    mine = (is_not_ended(job_segments), is_pending, job_segments.c.retry_at > moment)
    found = rows.fetch_all(connection, select(job_segments).where(*mine), Segment)
    connection.execute(update(job_segments).where(*mine).values(retry_at=None))
    return found


def set_progress(connection: Connection, segment_id: str, attempt: str, progress: float) -> bool:
    """Store the progress of a rendering; False if its attempt is no longer current."""
    return connection.execute(_current(segment_id, attempt).values(progress=progress)).rowcount == 1


def finish(
    connection: Connection,
    segment_id: str,
    attempt: str,
    *,
    file_path: str,
    duration_s: float,
    size_bytes: int,
    gaze: dict[str, Any],  # Any: `media.gaze`'s JSON
    stage_seconds: dict[str, float],
    rendering: dict[str, Any],  # Any: as above
    now: datetime,
) -> bool:
    """Move a rendered part to ready and store its facts; False if the attempt is no longer current."""
    values = {
        "status": SegmentStatus.READY, "ended_at": now, "progress": 1.0, "file_path": file_path, "duration": duration_s,
        "size_bytes": size_bytes, "gaze": gaze, "stage_seconds": stage_seconds, "rendering": rendering, "reason": None,
    }  # fmt: skip
    return connection.execute(_current(segment_id, attempt).values(**values)).rowcount == 1


def fail(connection: Connection, segment_id: str, *, reason: str, now: datetime) -> bool:
    """Fail a part; False if it has ended."""
    change = update(job_segments).where(
        job_segments.c.id == segment_id,
        job_segments.c.status.in_({SegmentStatus.PENDING, SegmentStatus.RENDERING}),
    )
    values = {"status": SegmentStatus.FAILED, "reason": reason, "ended_at": now, "retry_at": None}
    return connection.execute(change.values(**values)).rowcount == 1


def fail_all(connection: Connection, job_id: str, *, reason: str, now: datetime) -> None:
    """Fail all parts of a job that have not ended."""
    change = update(job_segments).where(
        job_segments.c.job_id == job_id,
        job_segments.c.status.in_({SegmentStatus.PENDING, SegmentStatus.RENDERING}),
    )
    connection.execute(change.values(status=SegmentStatus.FAILED, reason=reason, ended_at=now, retry_at=None))


def retry_failed(connection: Connection, job_id: str, now: datetime) -> list[Segment]:
    """Set the failed parts of a job back to pending, without attempts, and return them."""
    mine = (job_segments.c.job_id == job_id, job_segments.c.status == SegmentStatus.FAILED)
    failed = rows.fetch_all(connection, select(job_segments).where(*mine), Segment)
    values = {
        "status": SegmentStatus.PENDING, "reason": None, "asked_at": now, "attempt": None, "attempts": None,
        "retry_at": None, "progress": 0.0, "ended_at": None,
    }  # fmt: skip
    connection.execute(update(job_segments).where(*mine).values(**values))
    return failed


def reopen(connection: Connection, job_id: str) -> None:
    """Move done parts of a job back to ready if a publication of theirs waits again."""
    waiting = select(publications.c.id).where(
        publications.c.segment_id == job_segments.c.id, publications.c.status == PublicationStatus.WAITING
    )
    change = update(job_segments).where(
        job_segments.c.job_id == job_id, job_segments.c.status == SegmentStatus.DONE, waiting.exists()
    )
    connection.execute(change.values(status=SegmentStatus.READY))


def close(connection: Connection, job_id: str) -> bool:
    """Move the ready parts of a job to done whose last publication is over; False if there are none.

    Parts without publications stay ready.
    """
    mine = publications.c.segment_id == job_segments.c.id
    open_ones = select(publications.c.id).where(mine, publications.c.status.not_in(PUBLICATION_OVER))
    change = update(job_segments).where(
        job_segments.c.job_id == job_id,
        job_segments.c.status == SegmentStatus.READY,
        select(publications.c.id).where(mine).exists(),
        ~open_ones.exists(),
    )
    return connection.execute(change.values(status=SegmentStatus.DONE)).rowcount > 0


def mark_files_deleted(connection: Connection, job_id: str, *, ended_before: datetime, now: datetime) -> None:
    """Decide to delete the files of those parts of a job that were published on all accounts before a time.

    Publications that failed or were skipped can be retried, and need the file.
    """
    mine = publications.c.segment_id == job_segments.c.id
    keeps = or_(publications.c.status.not_in(PUBLICATION_SUCCEEDED), publications.c.ended_at > ended_before)
    change = update(job_segments).where(
        job_segments.c.job_id == job_id,
        job_segments.c.status == SegmentStatus.DONE,
        job_segments.c.files_deleted_at.is_(None),
        ~select(publications.c.id).where(mine, keeps).exists(),
    )
    connection.execute(change.values(files_deleted_at=now))


def deleted_files(connection: Connection, job_id: str) -> list[str]:
    """Return the paths of the parts of a job whose files are to be deleted, or are."""
    mine = (job_segments.c.job_id == job_id, job_segments.c.files_deleted_at.is_not(None))
    return list(connection.scalars(select(job_segments.c.file_path).where(*mine)))


def _current(segment_id: str, attempt: str) -> Update:
    return update(job_segments).where(
        job_segments.c.id == segment_id,
        job_segments.c.attempt == attempt,
        job_segments.c.status == SegmentStatus.RENDERING,
    )


def unrendered(connection: Connection) -> tuple[int, float]:
    """Return the number of parts that wait to be rendered or are being rendered, and the seconds of all of them."""
    query = select(func.count(), rows.total(job_segments.c.duration)).where(is_not_ended(job_segments))
    count, duration_s = connection.execute(query).one()
    return count, duration_s


def count_by_status(connection: Connection) -> dict[str, int]:
    """Return the number of parts in each state."""
    return row_counts.by_status(connection, job_segments)
