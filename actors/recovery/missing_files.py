"""Errors of work whose files are missing, for example after a backup was restored.

The restored database contains work on files that were deleted after the backup was made. Such work fails at once: a
retry succeeds only after the file has been restored (`scripts/adopt`).
"""

from __future__ import annotations

from sqlalchemy import Connection

from actors.machine import Machine
from store import publications, segments
from store.jobs import Job
from store.segments import Segment
from store.states import PublicationStatus, SegmentStatus

NO_SUCH_FILE = "no_such_file"  # of a media child (`media.process.child`); its detail contains the file's path
FILE_MISSING = "file_missing"
_OLDER = "is missing; the database is older than its deletion, as after a backup was restored. Upload the video again."
UPLOAD_GONE = f"The uploaded file {_OLDER}"
PART_GONE = f"The rendered part {_OLDER}"


def part_is_gone(machine: Machine, segment: Segment) -> bool:
    """Return whether a rendered part's file is missing."""
    return machine.files.stat(segment.file_path) is None


def failed_for_files(connection: Connection, job: Job) -> bool:
    """Return whether a job, or one of its parts or publications, failed because of a missing file."""
    return (
        job.error_code == FILE_MISSING
        or any(
            part.status is SegmentStatus.FAILED and part.reason == UPLOAD_GONE
            for part in segments.of_job(connection, job.id)
        )
        or any(
            post.status is PublicationStatus.FAILED and post.code == FILE_MISSING
            for post in publications.of_job(connection, job.id)
        )
    )
