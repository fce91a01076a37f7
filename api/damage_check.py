"""Checks the database file for damage: a small file in each call, a large one in the background.

The check of a file of 300 MB takes 0.5 s of CPU, and 2 s on a busy machine; Fly's health check waits for five.
"""

from __future__ import annotations

import threading
import time

from store import DatabaseUnavailable, Store

SMALL_BYTES = 8 * 2**20  # of a file that is checked in the call, in 13 ms
TIMEOUT_S = 60.0  # a read transaction that is longer lets the WAL grow
PAUSE_FACTOR = 100.0  # checks in the background take at most a hundredth of the time

Version = tuple[int, ...]  # of the file: its size first


class DamageCheck:
    """The damage of the database file, checked again only after the file has changed.

    The damage of a large file is known later, by at most the pause before its next check and the duration of that.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._checked: Version | None = None  # what `_damage` is about
        self._damage: str | None = None
        self._error: DatabaseUnavailable | OSError | None = None  # of the last check in the background
        self._next_s = 0.0  # when the next check in the background may begin
        self._thread: threading.Thread | None = None

    def result(self) -> str | None:
        """Return the damage of the file, or None.

        Raises:
            DatabaseUnavailable: the file cannot be read.
            OSError: likewise.
        """
        with self._lock:
            version = self._store.content_version()
            is_running = self._thread is not None and self._thread.is_alive()
            if version is not None and version != self._checked and not is_running:
                if version[0] <= SMALL_BYTES:
                    self._check()
                elif time.monotonic() >= self._next_s:
                    self._thread = threading.Thread(target=self._run, name="damage check", daemon=True)
                    self._thread.start()
            if self._error is not None:
                raise self._error
            return self._damage

    def _run(self) -> None:
        began_s = time.monotonic()
        try:
            self._check()
        except (DatabaseUnavailable, OSError) as error:
            self._error = error
        ended_s = time.monotonic()
        self._next_s = ended_s + PAUSE_FACTOR * (ended_s - began_s)

    def _check(self) -> None:
        version = (
            self._store.content_version()
        )  # before the check: a change in the meantime is noticed by the next call
        self._damage = self._store.damage(within_s=TIMEOUT_S)
        self._checked, self._error = version, None
