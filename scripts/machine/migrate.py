"""Migrates the database to this version, and checks the storage: `python -m scripts.machine.migrate`.

It runs as a separate process, so that Alembic's memory is released. Only this command creates a missing database. It
also checks the whole file for damage, and whether the settings of a remote storage are right.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from actors import sealed_rows, shared_key
from actors.database_check import DATABASE_ERRORS
from actors.machine import Machine
from files.errors import FilesError, Refused
from files.storage import Storage
from scripts.machine import launch

LOCK_TIMEOUT_S = 60
STALE_WAL = (
    "If you have just restored a backup: the -wal and -shm files beside it belong to the previous file. "
    "Delete both and start again"
)

OTHER_KEY = (
    "SECRET_KEY is not that of the other machines that use this database: one of them was seen within the last three "
    "minutes. Start all with the same key. To change it, stop all of them first, and wait for three minutes"
)


def main() -> int:
    """Migrate; return 1 if the database cannot be used, or a code of `launch` for another reason."""
    from actors.wiring import machine  # noqa: PLC0415 (reads the settings, which may be wrong)

    store = machine.store

    if not machine.settings.is_postgresql:  # a server limits the wait for a lock itself, and may migrate for longer
        signal.signal(signal.SIGALRM, _raise_timeout)
        signal.alarm(LOCK_TIMEOUT_S)
    try:
        store.migrate()
        store.require_usable()
        damage = store.damage()
        has_other_key = damage is None and _has_other_key(machine)
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
    if has_other_key:
        _print_error(OTHER_KEY)
        return launch.OTHER_KEY
    if sealed:
        _print_error(sealed.message())  # the machine starts: all else works
    signal.alarm(0)
    return _check_storage(machine.files, machine.settings.files_url)


def _has_other_key(machine: Machine) -> bool:
    """Return whether other machines use the server with another SECRET_KEY; record this one's otherwise."""
    if not machine.settings.is_postgresql:
        return False  # a key that was lost must not prevent the start; only this machine uses the file
    with machine.store.writing(scope="rows") as connection:
        if shared_key.is_another_in_use(machine, connection):
            return True
        shared_key.record(machine, connection)
    return False


def _check_storage(files: Storage, url: str) -> int:
    try:
        files.check()
    except Refused as refused:
        _print_error(f"FILES_URL {url} cannot be used: {refused}")
        return launch.NO_STORAGE
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
