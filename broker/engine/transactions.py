"""Sends that join a transaction: the caller's own, or the one that ends the processing of a message.

In a joined transaction the insertion runs on the caller's thread and connection; notifications and hooks wait for the
commit. Follow-ups are what dramatiq's middleware sends after the actor has run and before the acknowledgement: retries,
the next step of a pipeline, callbacks. They are collected for the transaction that ends the claim: a crash in between
neither loses nor doubles them, a claim lost to another process takes them along, and an error is never mistaken for
success.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from dramatiq.threading import Interrupt

from broker.engine.message import FollowUps, SqliteMessage
from broker.errors import NotJoined
from broker.storage.connection import Cursorable
from broker.storage.encoding import AnyMessage
from broker.storage.queue import Entry, store
from broker.storage.schema import Schema

__all__ = ["JoinedTransaction", "SendContext"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class JoinedTransaction:
    """A transaction of the caller's, and the messages sent in it."""

    connection: Cursorable
    sent: list[tuple[AnyMessage, int | None]] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)

    def store(self, entries: Sequence[Entry], sent: Sequence[tuple[AnyMessage, int | None]], now_ms: int) -> None:
        """Insert messages through the caller's connection."""
        for entry in entries:
            if store(self.connection, entry, now_ms) is not None:
                self.queues.add(entry.queue)
        self.sent += sent


class SendContext(threading.local):
    """The transaction or follow-ups that messages of this thread join; without both they are committed at once."""

    def __init__(
        self,
        schema: Schema,
        call_after_release: Callable[[Callable[[], None]], None],
        notify: Callable[[set[str]], None],
    ) -> None:
        """Begin without a transaction; called for every thread.

        Args:
            schema: of the tables that a joined connection writes.
            call_after_release: calls back when the calling thread has released the write lock.
            notify: wakes the processes that consume these queues.
        """
        self.joined: JoinedTransaction | None = None
        self.follow_ups: FollowUps | None = None
        self._schema = schema
        self._call_after_release = call_after_release
        self._notify = notify
        self._has_schema = False

    @contextmanager
    def join(self, connection: Cursorable) -> Iterator[JoinedTransaction]:
        """Join a transaction for the length of a block, and notify for its messages when the write lock is released.

        A consumer that woke up earlier would wait for the lock. It would find the messages, which are committed.
        """
        if not getattr(connection, "in_transaction", True):
            raise NotJoined("begin a transaction (BEGIN IMMEDIATE) before joining it")
        if not self._has_schema:
            self._schema.migrate(connection)
        outer = self.joined
        joined = self.joined = JoinedTransaction(connection)
        try:
            yield joined
        finally:
            self.joined = outer
        self._has_schema = True
        if joined.queues:
            self._call_after_release(partial(self._notify, joined.queues))

    @contextmanager
    def collect(self, message: SqliteMessage, *, failed: bool) -> Iterator[None]:
        """Collect the follow-ups of a message in this block, which runs the hooks after an actor.

        An interruption (time limit, shutdown) that strikes here comes too late to interrupt the actor. After a success
        dramatiq treats it as a failure of the actor; after a failure it would end the thread, so it ends here.
        """
        self.joined = None  # an exception raised into the actor's thread can strike at the end of `join`
        message.follow_ups = self.follow_ups = FollowUps()
        try:
            yield
        except Interrupt as late:
            message.follow_ups.interrupted = True
            if not failed:
                raise
            logger.info("%s came after message %s had failed; it runs again.", type(late).__name__, message.message_id)
        finally:
            self.follow_ups = None
