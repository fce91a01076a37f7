"""The reaction of worker threads to a database or a storage of files that cannot be used for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.middleware import Retries
from dramatiq.worker import WorkerThread
from loguru import logger

from broker import CommitOutcomeUnknown, ServerUnreachable, SessionLost, WriteLockTimeout
from broker.errors import TransactionRestart
from files.errors import FilesError, Gone
from store import CommitUnclear, DatabaseUnavailable

RETRY_DELAY_MS = 15_000
STORAGE_DELAY_MS = 60_000
MAX_STORAGE_WAITS = 24 * 60  # a day, as parts have it; the time for which the machine was off does not count
LOCKED = ("locked", "another process keeps the database locked")
"""Reason and sentence of the problem, as of the store."""
UNCLEAR = CommitUnclear | CommitOutcomeUnknown
"""Errors after which it is unknown whether a transaction is committed."""
_SERVER_ERRORS = ServerUnreachable | SessionLost | TransactionRestart


def waits_again(stopping: threading.Event) -> Callable[[], bool]:
    """Return a function that says whether the calling thread waits again for a lock or a server.

    A worker thread does until its process stops: what an actor has done outside (a post, a delivery) must be recorded.
    Any other thread, such as one that answers a request, does not.
    """
    return lambda: isinstance(threading.current_thread(), WorkerThread) and not stopping.is_set()


class RetriesUnlessLocked(Retries):
    """Dramatiq's retries; a database or a storage that cannot be used for a while is no failure of the actor.

    After a day of checks without the storage it is one: retries follow, and a dead letter, which a person sends again.
    """

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,  # Any: as in dramatiq
        *,
        result: Any = None,  # Any: as in dramatiq
        exception: BaseException | None = None,
    ) -> None:
        """Send the message again after a pause, or leave it to dramatiq's rules."""
        waits = message.options.get("storage_waits", 0)
        if isinstance(exception, FilesError) and not isinstance(exception, Gone) and waits < MAX_STORAGE_WAITS:
            message.options["storage_waits"] = waits + 1
            logger.warning("Message {}: runs again, the storage: {}", message.message_id, exception)
            broker.enqueue(message, delay=STORAGE_DELAY_MS)
            return
        if not is_passing(exception):
            super().after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]  # dramatiq's
            return
        logger.warning("Message {}: runs again, the database cannot be used now: {}", message.message_id, exception)
        broker.enqueue(message, delay=RETRY_DELAY_MS)


def is_locked(error: BaseException | None) -> bool:
    """Return whether an error means that a lock of the database was not free in time."""
    return isinstance(error, WriteLockTimeout) or (isinstance(error, DatabaseUnavailable) and error.reason == "locked")


def is_passing(error: BaseException | None) -> bool:
    """Return whether a lock, a server or the answer to a COMMIT was missing; the message runs again.

    If the COMMIT had succeeded, the actor finds the state that it has written.
    """
    unreachable = isinstance(error, DatabaseUnavailable) and error.reason == "unreachable"
    return is_locked(error) or unreachable or isinstance(error, UNCLEAR | _SERVER_ERRORS)
