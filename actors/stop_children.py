"""Ends running media children when their worker is asked to stop, or can no longer answer for their messages."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import dramatiq
from dramatiq.middleware import CurrentMessage
from dramatiq.worker import Worker

from broker import LeaseLost


class LostLeases:
    """The running messages of this process that others may process by now: it has lost the database server."""

    def __init__(self) -> None:
        self._message_ids: set[str] = set()
        self._lock = threading.Lock()

    def add(self, message_ids: Iterable[str]) -> None:
        """Add messages; called on a thread of the broker."""
        with self._lock:
            self._message_ids.update(message_ids)

    def discard(self, message_id: str) -> None:
        """Drop a message whose processing begins or has ended."""
        with self._lock:
            self._message_ids.discard(message_id)

    def check(self) -> None:
        """Check that the calling thread may go on with its message.

        Raises:
            LeaseLost: it may not, whatever became of the exception that was raised into the thread.
        """
        if self.has_current():
            raise LeaseLost("others may process the message")

    def has_current(self) -> bool:
        """Return whether the message that the calling thread processes is one of them."""
        message: Any = CurrentMessage.get_current_message()  # Any: as in dramatiq
        return message is not None and message.message_id in self._message_ids


class StopChildren(dramatiq.Middleware):
    """Dramatiq middleware that sets an event when the worker stops: running media children end at once.

    Without it, a graceful stop would wait for the running rendering, which may take an hour.

    Args:
        stopping: `Machine.stopping`, which the runner of media children watches.
        lost_leases: `Machine.lost_leases`, likewise.
    """

    def __init__(self, stopping: threading.Event, lost_leases: LostLeases) -> None:
        self._stopping = stopping
        self._lost_leases = lost_leases

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """End every running child; its actor sends its message again."""
        del broker, worker
        self._stopping.set()

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """Clear an earlier stop: tests start several workers in one process."""
        del broker, worker
        self._stopping.clear()

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:  # Any: as in dramatiq
        """Answer for a message that is delivered again."""
        del broker
        self._lost_leases.discard(message.message_id)
