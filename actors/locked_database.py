"""The reaction of worker threads to a write lock that is not free in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.middleware import Retries
from dramatiq.worker import WorkerThread
from loguru import logger

from broker import WriteLockTimeout
from store import DatabaseUnavailable

RETRY_DELAY_MS = 15_000
LOCKED = ("locked", "another process keeps the database locked")
"""Reason and sentence of the problem, as of the store."""


def waits_again(stopping: threading.Event) -> Callable[[], bool]:
    """Return a function that says whether the calling thread waits again for a lock that was not free in time.

    A worker thread does until its process stops: what an actor has done outside (a post, a delivery) must be recorded.
    Any other thread, such as one that answers a request, does not.
    """
    return lambda: isinstance(threading.current_thread(), WorkerThread) and not stopping.is_set()


class RetriesUnlessLocked(Retries):
    """Dramatiq's retries; a lock that was not free in time is no failure of the actor and does not count as one."""

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,  # Any: as in dramatiq
        *,
        result: Any = None,  # Any: as in dramatiq
        exception: BaseException | None = None,
    ) -> None:
        """Send the message again after a pause, or leave it to dramatiq's rules."""
        if not is_locked(exception):
            super().after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]  # dramatiq's
            return
        logger.warning("Message {}: runs again, the database is locked", message.message_id)
        broker.enqueue(message, delay=RETRY_DELAY_MS)


def is_locked(error: BaseException | None) -> bool:
    """Return whether an error means that a lock of the database was not free in time."""
    return isinstance(error, WriteLockTimeout) or (isinstance(error, DatabaseUnavailable) and error.reason == "locked")
