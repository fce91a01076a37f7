"""Records in a file, beside an upload, which of its publications have begun; independent of the database.

    uploads/<job id>/publishing-began      a line per publication: part number, account id, time of the beginning

In a restored database a publication may be "waiting" although it is public. So this file is checked before a
publication's first byte is sent. If it has a line for a publication that never began in the database, the publication's
outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from actors.machine import Machine
from actors.recovery.lost_found import PUBLISHING_NOTES
from store.publications import Publication

RESOLVED = "resolved"  # the code that `publications.resolve` sets


def add(machine: Machine, publication: Publication) -> bool:
    """Record that a publication begins; return False if the file says that it has begun before."""
    path = _path(machine, publication.job_id)
    try:
        if any(line.startswith(_prefix(publication)) for line in _lines(path)):
            return False
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{_line(publication)}\n")
    except OSError as error:  # the file is needed only after a loss of the database
        logger.warning(
            "Job {}: publication {}: beginning not recorded beside the upload: {}",
            publication.job_id, publication.id, error,
        )  # fmt: skip
    return True


def remove(machine: Machine, failed: Sequence[Publication]) -> None:
    """Delete the lines of publications that certainly failed and are retried.

    Only the line of the failed attempt is deleted: a restored database does not contain later attempts. If the operator
    has resolved the publication, all its lines are deleted.
    """
    for publication in failed:
        path = _path(machine, publication.job_id)
        gone = _prefix(publication) if publication.code == RESOLVED else _line(publication)
        try:
            lines = _lines(path)
            kept = [line for line in lines if not line.startswith(gone)]
            if kept != lines:
                path.with_name(f".{PUBLISHING_NOTES}").write_text(
                    "".join(f"{line}\n" for line in kept), encoding="utf-8"
                )
                path.with_name(f".{PUBLISHING_NOTES}").replace(path)
        except OSError as error:
            logger.warning(
                "Job {}: publication {}: line beside the upload not deleted: {}",
                publication.job_id, publication.id, error,
            )  # fmt: skip


def _path(machine: Machine, job_id: str) -> Path:
    return machine.settings.uploads_dir / job_id / PUBLISHING_NOTES


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _prefix(publication: Publication) -> str:
    return f"{publication.segment_number} {publication.account_id} "


def _line(publication: Publication) -> str:
    began = publication.started_at
    return f"{_prefix(publication)}{'' if began is None else began.isoformat()}"
