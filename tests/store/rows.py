"""Rows that tests of several packages need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from store.accounts import Account
from store.jobs import Job
from store.owners import DEFAULT_OWNER
from store.publications import Publication
from store.segments import Segment
from store.states import AccountStatus, JobStatus, PublicationStatus, SegmentStatus

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def job(
    job_id: str = "job", *, minutes: float = 0, status: JobStatus = JobStatus.PROCESSING, parts: int | None = 2
) -> Job:
    return Job(
        owner_id=DEFAULT_OWNER,
        id=job_id,
        status=status,
        video_path=f"uploads/{job_id}/source",
        created_at=NOON + timedelta(minutes=minutes),
        platforms=None,
        gaze_intensity=0.8,
        segment_seconds=60.0,
        segment_count=parts,
        title="A talk",
    )


def segment(number: int, *, job_id: str = "job", status: SegmentStatus = SegmentStatus.PENDING) -> Segment:
    return Segment(
        id=f"{job_id}-{number}",
        job_id=job_id,
        segment_number=number,
        file_path=f"jobs/{job_id}/part-{number:03}.mp4",
        duration=20.0,
        status=status,
        start_s=20.0 * (number - 1),
        span={
            "first": 600 * (number - 1),
            "frames": 600,
            "total": 60_000,
            "rate": "30",
            "origin_s": "0",
            "seek": None,
            "hold": False,
        },
        cut_reason="pause",
    )


def account(account_id: str = "tiktok-1", platform: str = "tiktok") -> Account:
    return Account(
        owner_id=DEFAULT_OWNER,
        id=account_id,
        platform=platform,
        variant=platform,
        remote_id=f"remote-{account_id}",
        name=f"@{account_id}",
        status=AccountStatus.CONNECTED,
        tokens=b"sealed",
        expires_at=None,
        refresh_at=None,
        refresh_expires_at=None,
        created_at=NOON,
    )


def publication(part: Segment, owner: Account, *, status: PublicationStatus = PublicationStatus.WAITING) -> Publication:
    return Publication(
        id=f"{part.id}-{owner.id}",
        job_id=part.job_id,
        segment_id=part.id,
        segment_number=part.segment_number,
        platform=owner.platform,
        account_id=owner.id,
        status=status,
        created_at=NOON,
    )
