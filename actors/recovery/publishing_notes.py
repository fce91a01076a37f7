"""Notes beside an upload about the publications that have begun, which outlive the database.

    uploads/<job id>/publishing-began      one line each: part number, account id, when it began

In an older database a publication may be "waiting" although it is public. So its note is checked before its first byte
is sent: if there is a note that this database does not know of, the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from actors.machine import Machine
from actors.recovery.lost_found import PUBLISHING_NOTES
from store.publications import Publication

RESOLVED = "resolved"  # the code that `publications.resolve` leaves


def add(machine: Machine, publication: Publication) -> bool:
    """Note that a publication begins; False if there is a note that it has begun before."""
    path = _path(machine, publication.job_id)
    try:
        if any(line.startswith(_whose(publication)) for line in _lines(path)):
            return False
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{_line(publication)}\n")
    except OSError as error:  # the note is needed only if the database is lost
        logger.warning("job {}: cannot note that publishing began: {}", publication.job_id, error)
    return True


def remove(machine: Machine, failed: Sequence[Publication]) -> None:
    """Delete the notes of publications that certainly failed and are retried.

    Only the note of the failed attempt is deleted, because the database may be older than a later one. If a person has
    resolved the publication, all its notes are deleted.
    """
    for publication in failed:
        path = _path(machine, publication.job_id)
        gone = _whose(publication) if publication.code == RESOLVED else _line(publication)
        try:
            lines = _lines(path)
            kept = [line for line in lines if not line.startswith(gone)]
            if kept != lines:
                path.with_name(f".{PUBLISHING_NOTES}").write_text(
                    "".join(f"{line}\n" for line in kept), encoding="utf-8"
                )
                path.with_name(f".{PUBLISHING_NOTES}").replace(path)
        except OSError as error:
            logger.warning("job {}: cannot change the notes beside its file: {}", publication.job_id, error)


def _path(machine: Machine, job_id: str) -> Path:
    return machine.settings.uploads_dir / job_id / PUBLISHING_NOTES


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _whose(publication: Publication) -> str:
    return f"{publication.segment_number} {publication.account_id} "


def _line(publication: Publication) -> str:
    began = publication.started_at
    return f"{_whose(publication)}{'' if began is None else began.isoformat()}"
