"""Records in a file, beside an upload, which of its publications have begun; independent of the database.

    uploads/<job id>/publishing-began      lines of each publication: part number, account id, time of its beginning,
                                           and nothing, or " sent", or " ended without a post"

" sent" is written before the first step that may make the post public. The last line of a publication counts.

In a restored database a publication may be waiting, or be about to begin an upload, although its post is public. So
this file is checked before each step of a publication of which, by the database, nothing can be public. If the file has
a line for a publication that never began in the database, or was not sent, the publication's outcome is unknown.

Machines that share a database have no such files: each step may run on another machine, and what one of them had
written would be taken for a restored database when the post is retried after another one has recorded its failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from actors.machine import Machine
from actors.recovery.lost_found import PUBLISHING_NOTES
from store.publications import Publication

RESOLVED = "resolved"  # the code that `publications.resolve` sets


_SENT = " sent"
_ENDED = " ended without a post"


def has_begun(machine: Machine, publication: Publication) -> bool:
    """Return whether the file says that a publication has begun."""
    return bool(_lines_of(machine, publication))


def is_sent(machine: Machine, publication: Publication) -> bool:
    """Return whether the file says that a post may be public."""
    ends = [line for line in _lines_of(machine, publication) if line.endswith((_SENT, _ENDED))]
    return bool(ends) and ends[-1].endswith(_SENT)


def add(machine: Machine, publication: Publication, end: str = "") -> None:
    """Record that a publication begins."""
    if machine.settings.is_shared:
        return
    try:
        _append(machine, publication, end)
    except OSError as error:  # the file is needed only after a loss of the database
        logger.warning(
            "Job {}: publication {}: not recorded beside the upload: {}", publication.job_id, publication.id, error
        )


def add_sent(machine: Machine, publication: Publication) -> None:
    """Record that the post may be public from now on."""
    if not is_sent(machine, publication):
        add(machine, publication, _SENT)


def add_ended(machine: Machine, publication: Publication) -> None:
    """Record that what was sent has certainly ended without a post. Call it before the database tells so.

    Raises:
        OSError: it was not recorded, and the publication would look like one of an older database.
    """
    if is_sent(machine, publication):
        _append(machine, publication, _ENDED)


def _append(machine: Machine, publication: Publication, end: str) -> None:
    with _path(machine, publication.job_id).open("a", encoding="utf-8") as file:
        file.write(f"{_line(publication)}{end}\n")


def _lines_of(machine: Machine, publication: Publication) -> list[str]:
    if machine.settings.is_shared:  # a file from before the move to several machines
        return []
    lines = _lines(_path(machine, publication.job_id))
    return [line for line in lines if line.startswith(_prefix(publication))]


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
    except OSError:  # usually there is none yet
        return []


def _prefix(publication: Publication) -> str:
    return f"{publication.segment_number} {publication.account_id} "


def _line(publication: Publication) -> str:
    began = publication.started_at
    return f"{_prefix(publication)}{'' if began is None else began.isoformat()}"
