"""Work on files that are gone although their record is open: after an older database was put in place.

The record then says "render this" or "publish that" of files that were deleted, rightly, after the backup was made.
Such work ends at once, with these words: no other try could go better, unless the file is found (`scripts/adopt`).
"""

from __future__ import annotations

from sqlalchemy import Connection

from actors import wiring
from store import publications, segments
from store.jobs import Job
from store.segments import Segment
from store.states import PublicationStatus, SegmentStatus

NO_SUCH_FILE = "no_such_file"  # of a media child (`media.child`), whose sentence has the file's path
FILE_MISSING = "file_missing"
_OLDER = "is no longer there; the database is older than its deletion, as after a backup was restored"
UPLOAD_GONE = f"the uploaded file {_OLDER}"
PART_GONE = f"the rendered part {_OLDER}"


def part_is_gone(segment: Segment) -> bool:
    """Say whether a rendered part is no longer there."""
    return not wiring.in_data(segment.file_path).exists()


def failed_for_files(connection: Connection, job: Job) -> bool:
    """Say whether something of a job failed because a file was not there: lost+found may have it."""
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
