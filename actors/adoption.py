"""Making jobs again of what is in lost+found: the file goes back, then the job, its event and its message commit.

    lock the file ─▶ rename lost+found/<id> to uploads/<id> ─▶ one transaction ─▶ unlock

Cut off between the two, the upload is a whole file without a record: the next start or clean-up moves it to lost+found
again, and it can be adopted again. Works beside a running machine and without one.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from loguru import logger

from actors import intake, lost_found, upload_record, wiring
from actors.lost_found import Lost
from actors.missing_files import failed_for_files
from actors.upload_record import Defaults, Remade
from store import accounts, idempotency_keys, jobs, segments
from store.idempotency_keys import StoredAnswer
from store.jobs import Job


class Outcome(Enum):
    """What became of an adoption."""

    ADOPTED = "a new job was made"
    RETURNED = "its job is in the database; its files were given back to it"
    KNOWN = "its job is in the database and misses none of it"
    OVER = "its job is over and its files were given up; the entry may be deleted"
    NO_UPLOAD = "only rendered parts are left; no job can be made of them"
    REPEATED = "its sender has sent it again and that is a job; the entry may be deleted"
    BUSY = "another process is at it"


def adopt(entry: Lost) -> tuple[Outcome, Remade | None]:
    """Make a job of an entry, as the API would of an upload; harmless to repeat.

    Returns:
        What was done, and for a new job what it was made of.

    Raises:
        DatabaseUnavailable: nothing was committed; the entry stays.
    """
    with lost_found.locked(entry.directory / lost_found.SOURCE) as ours:
        if not ours or not entry.directory.exists():
            return Outcome.BUSY, None
        with wiring.store.reading() as connection:
            job = jobs.get(connection, entry.job_id)
        if job is not None:
            return _give_back(entry, job), None
        return _take_in(entry) if entry.has_upload else (Outcome.NO_UPLOAD, None)


def unconnected(job: Job) -> list[str]:
    """Return the platforms that a job is meant for and that have no account; ["any"] if there is no account at all."""
    with wiring.store.reading() as connection:
        usable = {account.platform for account in accounts.connected(connection)}
    if job.platforms is None:
        return [] if usable else ["any"]
    return [platform for platform in job.platforms if platform not in usable]


def _take_in(entry: Lost) -> tuple[Outcome, Remade | None]:
    defaults = Defaults(wiring.settings.gaze_intensity, wiring.settings.segment_seconds, wiring.now())
    video = Path("uploads") / entry.job_id / lost_found.SOURCE
    remade = upload_record.remake(entry.directory, entry.job_id, video, wiring.sealer, defaults)
    target = lost_found.restore(entry.directory, entry.job_id)
    if target is None:
        return Outcome.BUSY, None
    try:
        repeated = intake.accept(remade.job, _still_its_own(remade.answer))
    except BaseException:
        if not _is_job(entry.job_id):
            target.rename(entry.directory)
        raise
    if repeated is not None:
        (target / lost_found.ADOPTING).unlink(missing_ok=True)
        target.rename(entry.directory)
        return Outcome.REPEATED, None
    lost_found.mark_accepted(entry.job_id)
    (target / lost_found.ADOPTING).unlink(missing_ok=True)
    logger.info("job {}: adopted from lost+found", entry.job_id)
    return Outcome.ADOPTED, remade


def _still_its_own(answer: StoredAnswer | None) -> StoredAnswer | None:
    """Return the answer of an upload's request; None if its key serves another upload by now."""
    if answer is None:
        return None
    with wiring.store.reading() as connection:
        stored = idempotency_keys.get(connection, answer.key_hash, datetime.min.replace(tzinfo=UTC))
    return answer if stored is None or stored.fingerprint == answer.fingerprint else None


def _is_job(job_id: str) -> bool:
    """Say whether a commit whose answer was lost took place; yes also if nobody can tell, so that the file stays."""
    try:
        with wiring.store.reading() as connection:
            return jobs.get(connection, job_id) is not None
    except Exception:  # noqa: BLE001 (whatever it is, the caller raises the first error)
        return True


def _give_back(entry: Lost, job: Job) -> Outcome:
    if job.files_deleted_at is not None:
        return Outcome.OVER
    returned = _give_parts_back(entry.directory / lost_found.PARTS, job)
    if entry.has_upload and not wiring.in_data(job.video_path).exists():
        target = lost_found.restore(entry.directory, entry.job_id)
        if target is None:
            return Outcome.BUSY
        (target / lost_found.ADOPTING).unlink(missing_ok=True)
        returned = True
    if not returned:
        return Outcome.KNOWN
    with wiring.store.reading() as connection:
        failed = failed_for_files(connection, job)
    if failed:
        intake.retry(job.id)
    logger.info("job {}: its files were given back from lost+found", job.id)
    return Outcome.RETURNED


def _give_parts_back(lost: Path, job: Job) -> bool:
    """Move those rendered parts back that the job's record describes and misses, with what lies beside each."""
    returned = False
    with wiring.store.reading() as connection:
        parts = segments.of_job(connection, job.id)
    for part in parts:
        place = wiring.in_data(part.file_path)
        found = lost / place.name
        if place.exists() or not found.is_file() or found.stat().st_size != part.size_bytes:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        for beside in sorted(lost.glob(f"{place.stem}.*"), key=lambda path: path == found):  # the part itself last
            beside.rename(place.with_name(beside.name))
        returned = True
    for directory in (lost, lost.parent):
        with contextlib.suppress(OSError):
            directory.rmdir()  # if nothing is left in it
    return returned
