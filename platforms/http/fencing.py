"""Ends the requests of a worker that has lost its lease: another one may go on with its work.

Each thread of a worker sends under a `Fence`. A request that begins, and each block of one that is being sent, asks it
first; requests that wait for an answer are ended from outside. So no request needs a limit in terms of the lease, and a
worker that was frozen sends nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Fence:
    """The condition on which requests of some threads are sent."""

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        """Create a fence; `check` raises what ends the work of the calling thread if it must not go on."""
        self.check = check
        self._ends: set[Callable[[], None]] = set()
        self._lock = threading.Lock()

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Have `end` called from another thread, should the block have to end."""
        with self._lock:
            self._ends.add(end)
        try:
            self.check()  # after it was added: `end_requests` may have just been called
            yield
        finally:
            with self._lock:
                self._ends.discard(end)

    def end_requests(self) -> None:
        """End the requests that are open. Any thread."""
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            end()


class _OfThread(threading.local):
    fence = Fence()  # of threads of which nothing is asked, such as those of the API


_of_thread = _OfThread()


def use(fence: Fence) -> None:
    """Put all requests of the calling thread under a fence from now on."""
    _of_thread.fence = fence


def current() -> Fence:
    """Return the fence of the calling thread."""
    return _of_thread.fence
