"""Refuses to open a database as a file while SQLite has locks on it in this process: closing it would end them.

Another process then takes itself for the last user of the database, and deletes the write-ahead log under this one
(sqlite.org/howtocorrupt.html, 2.2). Read a copy by `VACUUM INTO`, or let another process read the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["refuse_plain_opens"]

LOCKS = Path("/proc/locks")


def refuse_plain_opens(directory: Path) -> None:
    """Let each such `open` of a database in a directory fail, until the process ends."""
    root = f"{directory}/"

    def check(event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        name = os.fsdecode(arguments[0])
        if "sqlite" in name and os.path.abspath(name).startswith(root) and _is_locked(name):  # noqa: PTH100  # no Path: at every open
            raise AssertionError(f"{name} is open in SQLite, whose locks would end when this is closed: {__doc__}")

    sys.addaudithook(check)


def _is_locked(name: str) -> bool:
    """Return whether this process has a POSIX lock on a file."""
    try:
        inode = str(os.stat(name).st_ino)  # noqa: PTH116
    except OSError:
        return False  # it creates the file, or fails
    columns = (line.split() for line in LOCKS.read_text().splitlines() if "->" not in line)
    own = {line[5].rpartition(":")[2] for line in columns if line[1] == "POSIX" and line[4] == str(os.getpid())}
    return inode in own
