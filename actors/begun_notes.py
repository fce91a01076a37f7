"""Notes beside an upload: which publications of it were begun. They outlive the database.

    uploads/<job id>/publishing-began      one line each: part number, account id, when its turn came

An older database says "waiting" of what is public since. Before a publication's first byte is sent, its note is looked
for: one that the database cannot have written means that nobody knows what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from actors import wiring
from actors.lost_found import PUBLISHING
from store.publications import Publication

RESOLVED = "resolved"  # the code that `publications.resolve` leaves


def note(publication: Publication) -> bool:
    """Note that a publication begins, unless it was begun before; False if it was."""
    path = _path(publication.job_id)
    try:
        if any(line.startswith(_whose(publication)) for line in _lines(path)):
            return False
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{_line(publication)}\n")
    except OSError as error:  # the note is for a lost database only
        logger.warning("job {}: cannot note that publishing began: {}", publication.job_id, error)
    return True


def forget(failed: Sequence[Publication]) -> None:
    """Forget the notes of publications that certainly failed and are tried again.

    Only of the try that failed: the database may be older than a later one. Of all tries where a person has looked.
    """
    for publication in failed:
        path = _path(publication.job_id)
        gone = _whose(publication) if publication.code == RESOLVED else _line(publication)
        try:
            lines = _lines(path)
            kept = [line for line in lines if not line.startswith(gone)]
            if kept != lines:
                path.with_name(f".{PUBLISHING}").write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
                path.with_name(f".{PUBLISHING}").replace(path)
        except OSError as error:
            logger.warning("job {}: cannot change the notes beside its file: {}", publication.job_id, error)


def _path(job_id: str) -> Path:
    return wiring.settings.uploads_dir / job_id / PUBLISHING


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
