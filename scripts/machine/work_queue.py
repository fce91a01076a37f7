"""The queue between the consumers of a Dramatiq worker and its threads, which idle threads wait for without polling."""

from __future__ import annotations

from queue import Empty, PriorityQueue
from typing import Any

IDLE_S = 30.0  # a thread of a worker that was stopped without `stop_waiting` ends after this time
STOPPING_S = 0.01


class WorkQueue(PriorityQueue[Any]):  # Any: Dramatiq's type is private
    """A queue whose `get` waits for an item or the worker's stop, whatever timeout it is given.

    Dramatiq gives each thread a timeout of a second, because a thread sees only then that its worker stops: with 28
    threads, 28 wake-ups a second of an idle process.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_stopping = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return an item.

        Raises:
            Empty: there is none, or the worker stops; its threads then take no more.
        """
        del timeout
        if not block:
            return super().get(block=False)
        with self.not_empty:
            if not self._qsize() and not self._is_stopping:
                self.not_empty.wait(IDLE_S)
            if self._is_stopping:  # the thread sees a moment later that its worker stops
                self.not_empty.wait(STOPPING_S)
            elif self._qsize():
                return self._get()
        raise Empty

    def stop_waiting(self) -> None:
        """Wake all threads; `get` returns no items any more unless it is called without waiting."""
        with self.mutex:
            self._is_stopping = True
            self.not_empty.notify_all()
