"""Starts the threads of this package from a thread of its own.

Dramatiq raises exceptions into worker threads: time limits, shutdowns. Python 3.11 delivers one that is meant for a
thread to another which that thread is just starting: until that runs, it has the number of the one that starts it
(CPython's Modules/_threadmodule.c). It would end there, unnoticed. Nobody raises exceptions into the thread here.
"""

from __future__ import annotations

import sys
import threading
from queue import SimpleQueue

from broker.storage.fork import reset_in_children

__all__ = ["prepare_starts", "start_thread"]


class _ThreadStarter:
    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin without the thread, which a forked child does not have."""
        self._lock = threading.Lock()
        self._requests: SimpleQueue[tuple[threading.Thread, threading.Lock]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="broker-starter", daemon=True)
                self._thread.start()

    def start(self, thread: threading.Thread) -> None:
        self.prepare()
        started = threading.Lock()
        started.acquire()
        self._requests.put((thread, started))
        with started:
            pass
        if thread.ident is None:
            raise RuntimeError("can't start new thread")

    def _run(self) -> None:
        while True:
            thread, started = self._requests.get()
            try:
                thread.start()
            except RuntimeError:  # no more threads: `start` raises it where it is noticed
                pass
            finally:
                started.release()


_starter = _ThreadStarter()


def prepare_starts() -> None:
    """Start the thread that starts others, where that is not yet done; best before exceptions may be raised."""
    _starter.prepare()


def start_thread(thread: threading.Thread) -> None:
    """Start a thread and return when it runs.

    Raises:
        RuntimeError: the system allows no more threads, or the interpreter is shutting down.
    """
    if sys.is_finalizing():  # no thread runs any more that could do it
        raise RuntimeError("can't start a thread while the interpreter is shutting down")
    _starter.start(thread)
