"""Keeping the file small: pages that a backlog has left go back to the disk, old dead letters go for good.

Done in small steps during the rounds, so that no step keeps the gate for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from broker.engine.batch import Batch
from broker.storage.database import Database
from broker.storage.dead_letters import purge_some

__all__ = ["Tidying"]

Commit = Callable[[Callable[[Batch], None]], object]

SPARE_PAGES = 1000  # left in the file for the next messages; 4 MB
PAGES_AT_ONCE = 500
LETTERS_AT_ONCE = 1000
_INCREMENTAL = 2  # as PRAGMA auto_vacuum says it


class Tidying:
    """What one process does to keep the file small."""

    def __init__(self, database: Database, dead_letters_kept_s: float | None) -> None:
        self._database = database
        self._kept_s = dead_letters_kept_s

    def go(self, commit: Commit) -> bool:
        """Do one step of what is to be done; True when there is more.

        Raises:
            DatabaseUnavailable, sqlite3.Error, OSError: not now.
        """
        more_letters = self._forget_letters(commit)
        return self._give_back_pages() or more_letters

    def _forget_letters(self, commit: Commit) -> bool:
        if self._kept_s is None:
            return False
        before_ms = int((time.time() - self._kept_s) * 1000)
        if not self._database.read("SELECT 1 FROM broker_dead WHERE died_ms < ? LIMIT 1", (before_ms,), by_clerk=True):
            return False
        commit(lambda batch: purge_some(batch.connection, before_ms, LETTERS_AT_ONCE))
        return True

    def _give_back_pages(self) -> bool:
        [(mode,)] = self._database.read("PRAGMA auto_vacuum", by_clerk=True)
        [(free,)] = self._database.read("PRAGMA freelist_count", by_clerk=True)
        if mode != _INCREMENTAL or free <= SPARE_PAGES:
            return False
        self._database.shrink(PAGES_AT_ONCE)
        return True
