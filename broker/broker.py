"""Dramatiq's Broker on SQLite: the face of this package. The clerk and the tables do the work."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dramatiq import Middleware
from dramatiq.broker import Broker, Consumer
from dramatiq.common import q_name

from broker.admin import Upkeep
from broker.consumer import IdleConsumer, SqliteConsumer, give_back_unbegun
from broker.engine.followup import Present
from broker.engine.prefetch import Staff
from broker.engine.transactions import Joining
from broker.engine.writer import Clerk, Terms
from broker.errors import JoinTimeout, UnknownQueue
from broker.storage import inspection
from broker.storage.clearing import flush
from broker.storage.clock import now_ms
from broker.storage.database import IfReplaced, Synchronous
from broker.storage.encoding import ACTOR_OPTIONS, AnyMessage, SqliteMessage, addressed, facts, sealed
from broker.storage.fork import forget_in_children
from broker.storage.places import Places
from broker.storage.queue import Entry
from broker.storage.schema import Cursorable
from broker.storage.write_lock import WriteGate

__all__ = ["SqliteBroker"]

JOIN_INTERVAL_S = 0.01


class SqliteBroker(Upkeep, Broker):
    """Dramatiq messages in a SQLite file, which may be the application's own.

    Nothing is opened before the first use, and everything is opened anew in a forked child, so a broker can be made at
    import time. Messages survive `kill -9` of any process at any moment and, with `synchronous="FULL"`, a power cut.

    Args:
        path: the database file; its directory is made if it is missing. Not on a network file system.
        middleware: as in dramatiq; None is dramatiq's default list.
        synchronous: SQLite's; with "NORMAL" a power cut (not a crash) may undo the last commits.
        poll_interval_s: how often to look although no bell rang; only a safety net.
        lease_s: after how long the messages of a frozen process go to others. Those of a dead one go at once.
        max_deliveries: a message whose processes died this often is taken for their murderer: to the dead letters.
        dead_letters_kept_s: consuming processes delete dead letters that are older; None keeps them until purged.
        if_replaced: what to do when the file is deleted or replaced while it is open. "reopen" uses the new file, and
            creates it if it is missing. "refuse" raises `DatabaseReplaced` until the process is restarted, also if the
            WAL or the shared memory was deleted, and never creates the file; it is for applications with tables of
            their own in the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        middleware: list[Middleware] | None = None,
        synchronous: Synchronous = "FULL",
        poll_interval_s: float = 30.0,
        lease_s: float = 60.0,
        max_deliveries: int = 10,
        dead_letters_kept_s: float | None = None,
        if_replaced: IfReplaced = "reopen",
    ) -> None:
        self.queues: set[str] = set()
        self._places = Places(Path(path).resolve())
        self._terms = Terms(synchronous, poll_interval_s, lease_s, max_deliveries, dead_letters_kept_s, if_replaced)
        self.gate = WriteGate(path)
        self._staff = Staff()
        self._joining = Joining(self._places)
        self._present = Present()
        self._clerk_now: Clerk | None = None
        self._clerk_lock = threading.Lock()
        super().__init__(middleware)
        self.queues = set()  # the base class makes it a dict
        self.actor_options |= ACTOR_OPTIONS
        forget_in_children(self)

    # Sending.

    def declare_queue(self, queue_name: str) -> None:
        """Make a queue known to this process, and its delay queue; consumers start on both."""
        if queue_name in self.queues:
            return
        self.emit_before("declare_queue", queue_name)
        self.queues.add(queue_name)
        self.emit_after("declare_queue", queue_name)
        delay_queue = f"{queue_name}.DQ"
        self.delay_queues.add(delay_queue)
        self.emit_after("declare_delay_queue", delay_queue)

    def enqueue(self, message: AnyMessage, *, delay: int | None = None) -> AnyMessage:
        """Store a message, durably, before returning. Inside `joining` it becomes part of that transaction.

        A duplicate of a unique message is not stored, and returned like any other.

        Args:
            delay: milliseconds; 0 is a delay, too (the message goes to the tail of the queue).

        Raises:
            UnknownQueue: nobody has declared its queue.
            DatabaseUnavailable: the file or the disk does not serve; never because of a lock.
        """
        with self._present.sending():
            return self._enqueue([message], delay)[0]

    def enqueue_many(self, messages: Iterable[AnyMessage], *, delay: int | None = None) -> list[AnyMessage]:
        """Store messages in one commit: all of them or none."""
        with self._present.sending():
            return self._enqueue(list(messages), delay)

    @contextmanager
    def joining(self, connection: Cursorable) -> Iterator[None]:
        """Make messages sent by this thread part of a transaction that is open on a DBAPI connection.

        The caller holds `gate`, has begun (BEGIN IMMEDIATE) and commits before leaving the block; workers are woken
        then. Left with an exception, nobody is told anything.

        Raises:
            NotJoined: the connection has no open transaction.
        """
        with self._joining.joining(connection) as joined:
            yield
        for message, delay in joined.sent:
            self.emit_after("enqueue", message, delay)

    def _enqueue(self, messages: list[AnyMessage], delay: int | None) -> list[AnyMessage]:
        moment_ms = now_ms()
        sent: list[AnyMessage] = []
        entries: list[Entry] = []
        for message in messages:
            if q_name(message.queue_name) not in self.queues:
                raise UnknownQueue(q_name(message.queue_name))
            stored = addressed(message, delay, moment_ms)
            self.emit_before("enqueue", stored, delay)
            attempts = message.held.attempts if isinstance(message, SqliteMessage) else 0
            actor = self.actors.get(message.actor_name)
            entries.append(sealed(stored, actor, attempts=attempts, now_ms=moment_ms))
            sent.append(stored)
        joined, follow_ups = self._joining.current, self._present.follow_ups
        if joined is not None:
            joined.add(entries, [(message, delay) for message in sent], moment_ms)
            return sent
        if follow_ups is not None:
            follow_ups.entries += entries
            follow_ups.sent += [(message, delay) for message in sent]
            return sent
        self._clerk().store(entries)
        for message in sent:
            self.emit_after("enqueue", message, delay)
        return sent

    # Receiving.

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        """Return a consumer of a queue. That of a delay queue never has anything.

        Raises:
            UnknownQueue: nobody has declared the queue.
        """
        if queue_name in self.delay_queues:
            return IdleConsumer(timeout)
        if queue_name not in self.queues:
            raise UnknownQueue(queue_name)
        clerk = self._clerk()
        desk = clerk.open_desk(queue_name, prefetch)
        return SqliteConsumer(clerk, desk, timeout, sent=partial(self.emit_after, "enqueue"))

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """As in dramatiq; the broker itself notices workers that start and stop, to know how many threads there are."""
        if signal == "worker_boot":
            self._staff.hire(args[0])
        elif signal == "worker_shutdown":
            self._staff.dismiss(args[0])
            if self._clerk_now is not None:  # else the broker was closed, which has given back everything
                give_back_unbegun(self._clerk_now, args[0])
        elif signal == "process_message" and isinstance(args[0], SqliteMessage):
            self._staff.running.begin(args[0])
        super().emit_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """As in dramatiq; what the hooks send after an actor is kept for the commit that ends its message."""
        if signal == "worker_shutdown":
            self._staff.forget(args[0])
        if signal in {"process_message", "skip_message"} and isinstance(args[0], SqliteMessage):
            self._staff.running.end(args[0])
        if signal == "process_message" and isinstance(args[0], SqliteMessage):
            if self.gate.release_leaked():
                self.logger.error(
                    "Message %s ended inside the write gate, which was opened.",
                    args[0].message_id,
                    extra=facts(args[0].held, args[0].message_id),
                )
            with self._present.finishing(args[0], failed=kwargs.get("exception") is not None):
                super().emit_after(signal, *args, **kwargs)
        else:
            super().emit_after(signal, *args, **kwargs)

    # Clearing, ending. Looking is in the base class.

    def flush(self, queue_name: str) -> None:
        """Drop all waiting, delayed and dead messages of a queue; what is being worked on may end."""
        queue = q_name(queue_name)
        if queue not in self.queues:
            raise UnknownQueue(queue)
        self._clerk().call(lambda batch: flush(batch.connection, queue))

    def flush_all(self) -> None:
        """Drop all waiting, delayed and dead messages of all declared queues."""
        for queue in self.get_declared_queues():
            self.flush(queue)

    def get_declared_queues(self) -> set[str]:
        """Return the names of all declared queues."""
        return self.queues.copy()

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until a queue has nothing waiting, delayed or being worked on, in any process. Meant for tests.

        Raises:
            UnknownQueue: nobody has declared the queue.
            JoinTimeout: `timeout` milliseconds have passed.
        """
        queue = q_name(queue_name)
        if queue not in self.queues:
            raise UnknownQueue(queue)
        deadline_s = None if timeout is None else time.monotonic() + timeout / 1000
        while not inspection.is_empty(self._clerk().database, queue):
            if deadline_s is not None and time.monotonic() >= deadline_s:
                raise JoinTimeout(f"queue {queue!r} was not empty after {timeout} ms")
            time.sleep(JOIN_INTERVAL_S)

    def close(self) -> None:
        """Give back what is held and close the file. May be repeated; the next use opens it again."""
        with self._clerk_lock:
            clerk, self._clerk_now = self._clerk_now, None
        if clerk is not None:
            atexit.unregister(clerk.close)
            clerk.close()

    def forget(self) -> None:
        """Be as new in a forked child."""
        self._clerk_lock = threading.Lock()
        self._joining.forget()
        self._present.forget()
        self._staff = Staff()
        clerk, self._clerk_now = self._clerk_now, None
        if clerk is not None:
            atexit.unregister(clerk.close)
            clerk.forget()

    def _clerk(self) -> Clerk:
        clerk = self._clerk_now
        if clerk is not None:
            return clerk
        with self._clerk_lock:
            if self._clerk_now is None:
                self._clerk_now = Clerk(self._places, self.gate, self._staff, self._terms)
                atexit.register(self._clerk_now.close)
            return self._clerk_now
