"""Cleans up the disk of each of several machines, from whichever of its processes runs.

The periodic actor `cleanup` runs on one machine and does not see the disks of the others: their given up uploads, their
lost+found, and what is left there of jobs whose files are deleted. On a machine that works alone it does all of this,
and `in_background` does nothing.

    DATA_DIR/clean-up.lock     locked by the process that cleans up; its content is the time of the last run
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from loguru import logger

from actors.database_check import DATABASE_ERRORS
from actors.flow import retention
from actors.machine import Machine
from actors.recovery import lost_found

LOCK_NAME = "clean-up.lock"
INTERVAL = timedelta(minutes=5)  # as that of the periodic actor
CHECK_INTERVAL_S = 60.0
STOP_WITHIN_S = 5.0
_MAX_BYTES = 64  # of the time of the last run


@contextmanager
def in_background(machine: Machine) -> Iterator[None]:
    """Clean up the disk of this machine in a thread during a block, if there are several machines."""
    if not machine.settings.is_shared:
        yield
        return
    is_ending = threading.Event()
    thread = threading.Thread(target=_repeat, args=(machine, is_ending), daemon=True, name="local-clean-up")
    thread.start()
    try:
        yield
    finally:
        is_ending.set()
        thread.join(STOP_WITHIN_S)


def _repeat(machine: Machine, is_ending: threading.Event) -> None:
    while not is_ending.is_set():
        try:
            run_if_due(machine)
        except DATABASE_ERRORS as error:
            logger.warning("Clean-up of this machine: not complete, the database is unavailable: {}", error)
        except Exception:  # noqa: BLE001 (the outermost edge: an error must not end the clean-ups)
            logger.exception("Clean-up of this machine: not complete")
        is_ending.wait(CHECK_INTERVAL_S)


def run_if_due(machine: Machine) -> bool:
    """Clean up the disk of this machine, unless one of its processes does it or has done it in the last interval.

    Returns:
        Whether this call has cleaned up.

    Raises:
        DatabaseUnavailable: the database cannot be read; the next interval's run deletes what stayed.
        OSError: the data directory cannot be written.
    """
    machine.disk.release_ballast_if_full()
    descriptor = os.open(_lock_path(machine), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        last_run = _read_time(descriptor)
        if not _is_due(machine, last_run):
            return False
        lost_found.extend_after_pause(machine, last_run)  # before it is recorded: after a crash it is done again
        _write_time(descriptor, machine.now())
        retention.clean_up_here(machine)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    machine.disk.make_ballast()
    return True


def _is_due(machine: Machine, last_run: datetime | None) -> bool:
    """Return whether the interval is over; also if the clock was set back, for nobody knows when it is right again."""
    return last_run is None or not timedelta() <= machine.now() - last_run < INTERVAL


def _lock_path(machine: Machine) -> Path:
    return machine.settings.data_dir / LOCK_NAME


def _read_time(descriptor: int) -> datetime | None:
    """Return the time of the last run; None if there was none, or a power cut has lost it."""
    try:
        moment = datetime.fromisoformat(os.pread(descriptor, _MAX_BYTES, 0).decode())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _write_time(descriptor: int, moment: datetime) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, moment.isoformat().encode(), 0)
