"""Deletes files of a remote storage that no job in the database knows, after a period.

    unknown/JOB     marks files of an unknown job; its time of change begins the period

A missing record is no reason to delete a file at once: a restored database is older than the files. They stay where
they are, under the id of their job, as long as files in lost+found, from which `scripts/adopt` creates jobs again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger

from actors.machine import Machine
from actors.recovery import lost_found
from files import keys
from files.storage import StoredFile
from store import jobs

INCOMPLETE_KEPT_FOR = timedelta(days=2)  # pieces of an upload whose machine is gone, and which nobody completes
MARKS = "unknown/"


def delete_expired(machine: Machine) -> None:
    """Mark the files of unknown jobs, and delete those that were marked a period ago."""
    with lost_found.errors_logged(MARKS):
        marked = {file.key.removeprefix(MARKS): file.modified_at for file in machine.files.list_files(MARKS)}
        present: set[str] = set()
        for root in (keys.UPLOADS, keys.JOBS):
            for job_id in machine.files.folders(root):
                with lost_found.errors_logged(f"{root}{job_id}"):
                    present |= {job_id} if _check(machine, root, job_id, marked.get(job_id)) else set()
        for job_id in marked.keys() - present:
            machine.files.delete(f"{MARKS}{job_id}")


def restart_periods(machine: Machine) -> None:
    """Let the periods of all marked files begin now: the machine did not run, or its database is a new one."""
    with lost_found.errors_logged(MARKS):
        for file in machine.files.list_files(MARKS):
            _write_mark(machine, file.key)


def _check(machine: Machine, root: str, job_id: str, marked_at: datetime | None) -> bool:
    """Check a folder; return whether its job is unknown, so that a mark is needed."""
    if (machine.settings.files_dir / root / job_id).exists():  # being received, or for lost+found
        return True
    if _is_known(machine, job_id):
        return False
    found = machine.files.list_files(folder := f"{root}{job_id}/")
    if not found or _is_known(machine, job_id):  # after the listing: a job is committed after its files are stored
        return False
    if root == keys.UPLOADS and all(file.key != keys.source(job_id) for file in found):
        _delete_incomplete(machine, folder, found)
    elif marked_at is None:
        _write_mark(machine, f"{MARKS}{job_id}")
        kept = f"{machine.settings.lost_found_days:g}"
        logger.warning("Storage: {}: no record in the database; kept for {} days", folder, kept)
    elif machine.now() >= marked_at + timedelta(days=machine.settings.lost_found_days):
        machine.files.delete_folder(folder)
        logger.warning("Storage: {}: deleted, no record in the database", folder)
    return True


def _delete_incomplete(machine: Machine, folder: str, found: list[StoredFile]) -> None:
    if machine.now() >= max(file.modified_at for file in found) + INCOMPLETE_KEPT_FOR:
        machine.files.delete_folder(folder)
        logger.warning("Storage: {}: deleted, the pieces of an upload that nobody has completed", folder)


def _is_known(machine: Machine, job_id: str) -> bool:
    with machine.store.reading() as connection:
        return jobs.get(connection, job_id) is not None


def _write_mark(machine: Machine, key: str) -> None:
    with machine.files.outputs([key]) as (path,):
        path.write_bytes(b"The database of VidProd does not know the job with this id.")
