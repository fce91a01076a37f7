"""cleanup: delete the files of jobs that are over, and end what has been open for too long. Records stay."""

from __future__ import annotations

import shutil
import time
from datetime import timedelta
from pathlib import Path

import dramatiq
from loguru import logger
from periodiq import cron

from actors import wiring
from actors.announce import announce, part_facts
from actors.settling import retention_s, settle
from actors.turns import release
from store import jobs, publications
from store.jobs import Job
from store.states import JOB_OVER, PublicationStatus

OPEN_AT_MOST = timedelta(days=60)  # three hours of talk are 180 parts; at six a day that takes thirty days
ORPHANED_AFTER_S = 86_400.0  # an upload that never became a job


@dramatiq.actor(queue_name="ticks", periodic=cron("*/5 * * * *"), max_retries=0)
def cleanup() -> None:
    """Find what is to be deleted or ended, also what an earlier attempt missed."""
    _expire()
    with wiring.store.reading() as connection:
        finished = jobs.with_files(connection, over_before=wiring.now())
    for job in finished:
        if _is_due(job):
            wiring.send("delete_files", job.id)
    _delete_orphans()


@dramatiq.actor(queue_name="network", max_retries=5)
def delete_files(job_id: str) -> None:
    """Delete the files of a job that is over. A file that somebody still sends stays until that is over, too."""
    with wiring.store.reading() as connection:
        job = jobs.get(connection, job_id)
        being_sent = [p for p in publications.of_job(connection, job_id) if p.status is PublicationStatus.PUBLISHING]
    if job is None or job.status not in JOB_OVER or job.files_deleted_at is not None:
        return
    if being_sent:
        wiring.send("delete_files", job_id, delay_s=60.0)
        return
    for directory in (wiring.settings.uploads_dir / job_id, wiring.settings.jobs_dir / job_id):
        _remove(directory)
    with wiring.store.writing() as connection:
        jobs.mark_files_deleted(connection, job_id, wiring.now())
    logger.info("job {}: files deleted", job_id)


def _is_due(job: Job) -> bool:
    with wiring.store.reading() as connection:
        published = bool(publications.of_job(connection, job.id))
    return job.completed_at is not None and wiring.now() >= job.completed_at + timedelta(
        seconds=retention_s(published=published)
    )


def _expire() -> None:
    with wiring.store.writing() as connection:
        for publication in publications.open_since(connection, wiring.now() - OPEN_AT_MOST):
            reason = f"not published within {OPEN_AT_MOST.days} days"
            job = jobs.get(connection, publication.job_id)
            if job is not None and publications.expire(connection, publication.id, reason=reason, now=wiring.now()):
                announce(
                    connection, "publication.failed", job, code="expired", reason=reason, **part_facts(publication, job)
                )
                settle(connection, publication.job_id)
        release(connection)


def _delete_orphans() -> None:
    for root in (wiring.settings.uploads_dir, wiring.settings.jobs_dir):
        for directory in root.iterdir() if root.exists() else ():
            with wiring.store.reading() as connection:
                known = jobs.get(connection, directory.name) is not None
            if not known and time.time() - directory.stat().st_mtime > ORPHANED_AFTER_S:
                _remove(directory)
                logger.info("deleted {}, which belongs to no job", directory)


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
