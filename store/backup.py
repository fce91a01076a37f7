"""Copies of the database file: of one moment, while other processes write."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from store.database_file import connect
from store.errors import translated

_INSTRUCTIONS = 100_000  # of SQLite's virtual machine between two calls of `is_cancelled`; some milliseconds


class CopyCancelled(Exception):
    """The copy was given up, because its process stops."""


def expected_bytes(source: Path) -> int:
    """Return the size that a copy has at most: of the database and of its write-ahead log.

    Raises:
        OSError: the database is missing.
    """
    log = source.with_name(f"{source.name}-wal")
    return source.stat().st_size + (log.stat().st_size if log.exists() else 0)


def copy(source: Path, target: Path, *, is_cancelled: Callable[[], bool] = lambda: False) -> None:
    """Copy a database into a missing or empty file, and sync it.

    The copy is that of one moment. It has no free pages, so nothing that was deleted before. The write lock is not
    taken. If the database cannot shrink, its copy can, so that a backup and a restore give the disk its space back.

    Of 100,000 jobs (745 MB) it took 2.4 s and 5 MB of memory, and the slowest of the commits of that time 0.3 s;
    SQLite's backup API took 3.5 s (measured 2026-11-29 on two shared cores).

    Args:
        source: the database, used by any number of processes.
        target: absolute.
        is_cancelled: called several times a second.

    Raises:
        CopyCancelled: `is_cancelled` returned True.
        DatabaseUnavailable: the database cannot be read, or the disk of the copy is full.
    """
    with translated(), closing(connect(source)) as connection:
        if connection.execute("PRAGMA auto_vacuum").fetchone() == (0,):
            # Of the copy: the mode of a database with tables only changes when it is written anew. If the mode is set
            # already, the pragma would take the write lock.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.set_progress_handler(is_cancelled, _INSTRUCTIONS)
        try:
            connection.execute("VACUUM INTO ?", (str(target),))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise CopyCancelled from error
            raise
    sync(target)


def damage(path: Path, *, thorough: bool = False) -> str | None:
    """Check a copy that no process uses; return the first damage, or None.

    Args:
        path: of the copy; may be any file.
        thorough: also compare all indexes with their tables, which takes six times as long.

    Raises:
        DatabaseUnavailable: the file cannot be read, or is no database.
    """
    check = "integrity_check" if thorough else "quick_check"
    with translated(), closing(connect(path)) as connection:
        [found] = connection.execute(f"PRAGMA {check}(1)").fetchone()
        wrong = None if found == "ok" else str(found)
        if wrong is None and connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            wrong = "rows refer to missing rows"
    return wrong


def is_of_vidprod(path: Path) -> bool:
    """Return whether a database has the tables of the store, of any version.

    Raises:
        DatabaseUnavailable: the file cannot be read, or is no database.
    """
    with translated(), closing(connect(path)) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('store_version', 'jobs')"
        return bool(connection.execute(query).fetchone()[0] == 2)


def checkpoint(path: Path) -> bool:
    """Write the log of a database that no process uses into the file, and delete it; False if it is damaged."""
    try:
        with closing(connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return False
    return not path.with_name(f"{path.name}-wal").exists()


def sync(path: Path) -> None:
    """Write a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
