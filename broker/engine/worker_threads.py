"""Which thread of this process works on which message, so that a cancelled one can be torn out of its actor.

An exception is raised into the thread the way dramatiq's time limit does it: it strikes between two steps of Python
code, not inside a call that waits outside of it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from dramatiq.middleware import SkipMessage
from dramatiq.threading import Interrupt, raise_thread_exception

from broker.storage.encoding import SqliteMessage

__all__ = ["Cancelled", "Running"]

Token = tuple[int, int]  # row and number of a claim of this process


class Cancelled(Interrupt):
    """Raised inside an actor whose message has been cancelled. It may clean up; the message will not run again."""


class Running:
    """The messages in the hands of worker threads."""

    def __init__(self) -> None:
        # A bare lock: entering and leaving it is safe against exceptions raised into this thread.
        self._lock = threading.Lock()
        self._threads: dict[Token, tuple[int, SqliteMessage]] = {}
        self._doomed: set[Token] = set()  # cancelled, but claimed and not begun

    def begin(self, message: SqliteMessage) -> None:
        """Note that the calling thread begins to work on a message.

        Raises:
            SkipMessage: it was cancelled while it waited for a thread.
        """
        token = _token(message)
        with self._lock:
            if token in self._doomed:
                self._doomed.discard(token)
                raise SkipMessage("cancelled before it began")
            self._threads[token] = (threading.get_ident(), message)

    def end(self, message: SqliteMessage) -> None:
        """Note that the work is over. From here on no exception is raised into the thread for it."""
        with self._lock:
            self._threads.pop(_token(message), None)

    def interrupt(self, cancelled: Collection[Token], held: Collection[Token]) -> None:
        """Raise `Cancelled` into the threads that work on these messages, once each.

        Args:
            cancelled: claims of this process.
            held: all claims of this process; what is not begun is skipped when its turn comes.
        """
        with self._lock:
            self._doomed &= set(held)
            for token in cancelled:
                if token in self._threads:
                    thread, message = self._threads.pop(token)
                    message.cancelled = True
                    message.options["throws"] = BaseException  # whatever the actor raises now, Retries lets it be
                    # Under the lock: before `end` the thread cannot go on to another message.
                    raise_thread_exception(thread, Cancelled)  # type: ignore[no-untyped-call]  # dramatiq's
                elif token in held:
                    self._doomed.add(token)


def _token(message: SqliteMessage) -> Token:
    return message.held.row_id, message.held.number
