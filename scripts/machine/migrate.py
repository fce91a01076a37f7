"""Migrates the database to this version, and checks the storage: `python -m scripts.machine.migrate`.

It runs as a separate process, so that Alembic's memory is released. Only this command creates a missing database. It
also checks the whole file for damage, and whether the settings of a remote storage are right.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from actors import sealed_rows
from actors.database_check import DATABASE_ERRORS
from files.errors import FilesError, Refused
from files.storage import Storage
from scripts.machine.launch import NO_STORAGE

LOCK_TIMEOUT_S = 60
STALE_WAL = (
    "If you have just restored a backup: the -wal and -shm files beside it belong to the previous file. "
    "Delete both and start again"
)


def main() -> int:
    """Migrate; return 1 if the database cannot be used, `NO_STORAGE` if the storage cannot."""
    from actors.wiring import machine  # noqa: PLC0415 (reads the settings, which may be wrong)

    store = machine.store

    signal.signal(signal.SIGALRM, _raise_timeout)
    signal.alarm(LOCK_TIMEOUT_S)
    try:
        store.migrate()
        store.require_usable()
        damage = store.damage()
        sealed = None if damage else sealed_rows.find(store, machine.sealer)
    except DATABASE_ERRORS as unusable:
        _print_error(f"{store.name}: {unusable}{_hint(unusable)}")
        return 1
    except TimeoutError:
        _print_error(
            f"{store.name}: another process has locked the database for {LOCK_TIMEOUT_S} seconds; end it first"
        )
        return 1
    if damage is not None:
        detail = " ".join(damage.split())
        _print_error(f"{store.name}: the database is damaged ({detail}); restore a backup. {STALE_WAL}")
        return 1
    if sealed:
        _print_error(sealed.message())  # the machine starts: all else works
    signal.alarm(0)
    return _check_storage(machine.files, machine.settings.files_url)


def _check_storage(files: Storage, url: str) -> int:
    try:
        files.check()
    except Refused as refused:
        _print_error(f"FILES_URL {url} cannot be used: {refused}")
        return NO_STORAGE
    except FilesError as down:  # work waits for it
        _print_error(f"FILES_URL {url} does not answer: {down}; started all the same")
    return 0


def _hint(unusable: Exception) -> str:
    return f"; restore a backup. {STALE_WAL}" if getattr(unusable, "reason", "") == "damaged" else ""


def _print_error(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _raise_timeout(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TimeoutError


if __name__ == "__main__":
    sys.exit(main())
