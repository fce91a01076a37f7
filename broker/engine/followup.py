"""What a message's own processing sends: its retry, the next step of its pipeline, its callbacks.

Dramatiq's middleware sends these after the actor has run and before the acknowledgement. They are collected here and
stored by the transaction that ends the claim: a crash in between neither loses nor doubles them, a claim lost to
another process takes them along, and an error on the way is never mistaken for success.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dramatiq.middleware import MiddlewareError
from dramatiq.threading import Interrupt

from broker.storage.encoding import FollowUps, SqliteMessage

__all__ = ["Present"]

logger = logging.getLogger(__name__)


class Present:
    """Which message each thread is just finishing."""

    def __init__(self) -> None:
        self._thread = threading.local()

    @property
    def follow_ups(self) -> FollowUps | None:
        """The follow-ups of the message that the calling thread is finishing."""
        follow_ups: FollowUps | None = getattr(self._thread, "follow_ups", None)
        return follow_ups

    @contextmanager
    def finishing(self, message: SqliteMessage, *, failed: bool) -> Iterator[None]:
        """Collect what is sent in this block, which runs the hooks after an actor.

        An interruption (time limit, shutdown) that strikes here comes too late to interrupt the actor. After a
        success dramatiq treats it as a failure of the actor; after a failure it would end the thread, so it ends here.
        """
        message.follow_ups = self._thread.follow_ups = FollowUps()
        try:
            yield
        except Interrupt as late:
            message.follow_ups.interrupted = True
            if not failed:
                raise
            logger.info("%s came after message %s had failed; it runs again.", type(late).__name__, message.message_id)
        finally:
            self._thread.follow_ups = None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Note when sending fails in the block of `finishing`: dramatiq only logs it and acknowledges the message."""
        try:
            yield
        except MiddlewareError:
            raise  # a middleware's veto is meant
        except Exception as error:
            if self.follow_ups is not None:
                self.follow_ups.failure = error
            raise

    def forget(self) -> None:
        """Drop the parent's state in a forked child."""
        self._thread = threading.local()
