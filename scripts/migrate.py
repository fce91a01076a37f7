"""`python -m scripts.migrate`: bring the database to this version and leave again.

A process of its own, so that Alembic's memory goes with it. Here, and only here, a missing database is made, and the
whole file is looked through once.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from actors import process

PATIENCE_S = 60  # for another process that holds the write lock, however it does
STALE_WAL = (
    "if a backup was just put in its place: the -wal and -shm files beside it belong to the file that was there before;"
    " delete both and start again"
)


def main() -> int:
    """Migrate; the exit code is 1 if the database cannot be used."""
    from actors.wiring import store  # noqa: PLC0415 (reads the settings, which may be wrong)

    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(PATIENCE_S)
    try:
        store.migrate()
        store.require_usable()
        damage = store.damage()
    except process.DATABASE_ERRORS as unusable:
        _say(f"{store.path}: {unusable}{_hint(unusable)}")
        return 1
    except TimeoutError:
        _say(f"{store.path}: another process has kept the database locked for {PATIENCE_S} seconds; end it first")
        return 1
    if damage is not None:
        _say(f"{store.path}: the database is damaged ({' '.join(damage.split())}); restore a backup. {STALE_WAL}")
        return 1
    return 0


def _hint(unusable: Exception) -> str:
    return f"; restore a backup. {STALE_WAL}" if getattr(unusable, "reason", "") == "damaged" else ""


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _give_up(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TimeoutError


if __name__ == "__main__":
    sys.exit(main())
