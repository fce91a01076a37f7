"""Dramatiq's Broker on a database, and on SQLite. The engine and the storage below it do the work."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from dramatiq import Middleware
from dramatiq.broker import Consumer
from dramatiq.common import q_name
from dramatiq.middleware import MiddlewareError

from broker.admin import QueueAdmin
from broker.consumer import DelayQueueConsumer, SqliteConsumer, release_waiting
from broker.contract import MessageBroker
from broker.engine.batch import WriteBatch
from broker.engine.engine import Engine, EngineParts, Options
from broker.engine.message import SqliteMessage, log_fields
from broker.engine.notifications import Poller, notify
from broker.engine.processes import ProcessRegistry
from broker.engine.transactions import SendContext
from broker.engine.worker_threads import LeaseLost, WorkerThreads
from broker.errors import JoinTimeout, UnknownQueue
from broker.storage import inspection
from broker.storage.connection import Cursorable
from broker.storage.database import BrokerPaths, Database, IfReplaced, Synchronous, now_ms
from broker.storage.encoding import ACTOR_OPTIONS, AnyMessage, encode_message, with_eta
from broker.storage.file_path import file_path
from broker.storage.fork import reset_in_children
from broker.storage.queue import Entry, flush
from broker.storage.schema import MESSAGE_SCHEMA
from broker.storage.write_lock import WriteLock

__all__ = ["DatabaseBroker", "SqliteBroker"]

JOIN_INTERVAL_S = 0.01


class DatabaseBroker(MessageBroker):
    """Dramatiq messages in a database; a subclass for each kind of database says how it is opened.

    Args:
        options: of the engine.
        context: which transaction or follow-ups the messages of a thread join; made anew in a forked child.
        middleware: as in dramatiq; None is dramatiq's default list.
    """

    admin: QueueAdmin

    def __init__(
        self, options: Options, context: Callable[[], SendContext], middleware: list[Middleware] | None
    ) -> None:
        self._options = options
        self._new_context = context
        self._context = context()
        self.admin = QueueAdmin(self._engine, self.get_declared_queues)
        self._threads = WorkerThreads()
        self._opened: Engine | None = None
        self._lock = threading.Lock()
        super().__init__(middleware)
        self.queues: set[str] = set()  # the base class makes it a dict
        self.actor_options |= ACTOR_OPTIONS
        reset_in_children(self)

    @abstractmethod
    def _parts(self) -> EngineParts:
        """Return new parts of an engine for this process."""

    def _new_engine(self) -> Engine:
        """Return a new engine, which has started."""
        return Engine(self._parts(), self._threads, self._options)

    def _joinable(self, connection: Cursorable) -> Cursorable:
        """Return a connection of the application's as the shared statements use it."""
        return connection

    def _release_leaked_lock(self) -> bool:
        """Release a lock that an actor has left locked on this thread; returns whether there was one."""
        return False

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
            UnknownQueue: its queue has not been declared.
            DatabaseUnavailable: the file or the disk does not serve.
            WriteLockTimeout: the write lock was not free within its timeout.
        """
        return self._send([message], delay)[0]

    def enqueue_many(self, messages: Iterable[AnyMessage], *, delay: int | None = None) -> list[AnyMessage]:
        """Store messages in one commit: all of them or none."""
        return self._send(messages, delay)

    @contextmanager
    def joining(self, connection: Cursorable) -> Iterator[None]:
        """Make messages sent by this thread part of a transaction that is open on a DBAPI connection.

        The caller holds `write_lock`, has begun (BEGIN IMMEDIATE) and commits before leaving the block; workers are
        notified when the lock is released. If an exception leaves the block, no worker is notified.

        Raises:
            NotJoined: the connection has no open transaction.
        """
        with self._context.join(self._joinable(connection)) as joined:
            yield
        for message, delay in joined.sent:
            self.emit_after("enqueue", message, delay)

    def _send(self, messages: Iterable[AnyMessage], delay: int | None) -> list[AnyMessage]:
        context = self._context
        try:
            sent, entries = self._encode(messages, delay)
            if context.joined is not None:
                context.joined.store(entries, [(message, delay) for message in sent], now_ms())
            elif context.follow_ups is not None:
                context.follow_ups.entries += entries
                context.follow_ups.sent += [(message, delay) for message in sent]
            else:
                work, writer = partial(WriteBatch.store, entries=entries), (self._opened or self._engine()).writer
                if not writer.commit_inline(work):
                    writer.call(work)
                for message in sent:
                    self.emit_after("enqueue", message, delay)
        except MiddlewareError:
            raise  # a middleware's veto is meant
        except Exception as error:
            if context.follow_ups is not None:  # dramatiq only logs it and acknowledges the message
                context.follow_ups.failure = error
            raise
        return sent

    def _encode(self, messages: Iterable[AnyMessage], delay: int | None) -> tuple[list[AnyMessage], list[Entry]]:
        moment_ms = now_ms()
        sent: list[AnyMessage] = []
        entries: list[Entry] = []
        for message in messages:
            if message.queue_name not in self.queues and q_name(message.queue_name) not in self.queues:
                raise UnknownQueue(q_name(message.queue_name))
            stored = message if delay is None else with_eta(message, delay, moment_ms)
            self.emit_before("enqueue", stored, delay)
            if isinstance(trace := stored.options.get("traceback"), str):  # of the failure that is retried
                stored.options["traceback"] = self._options.redact(trace)
            attempts = message.held.attempts if isinstance(message, SqliteMessage) else 0
            entries.append(
                encode_message(stored, self.actors.get(message.actor_name), attempts=attempts, now_ms=moment_ms)
            )
            sent.append(stored)
        return sent, entries

    # Receiving.

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        """Return a consumer of a queue. That of a delay queue never has anything.

        Raises:
            UnknownQueue: the queue has not been declared.
        """
        if queue_name in self.delay_queues:
            return DelayQueueConsumer(timeout)
        if queue_name not in self.queues:
            raise UnknownQueue(queue_name)
        engine = self._engine()
        buffer = engine.open_buffer(queue_name, prefetch)
        return SqliteConsumer(engine, buffer, timeout, sent=partial(self.emit_after, "enqueue"))

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """As in dramatiq; the broker itself notices workers that start and stop, to know how many threads there are."""
        if signal == "worker_boot":
            self._threads.booted(args[0])
        elif signal == "worker_shutdown":
            self._threads.stopping(args[0])
            if self._opened is not None:  # else the broker was closed, which has released everything
                release_waiting(self._opened, args[0])
        elif signal == "process_message" and isinstance(args[0], SqliteMessage):
            self._threads.begin(args[0])
        super().emit_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """As in dramatiq; messages that hooks send after an actor are kept for the commit that ends its message."""
        if signal == "worker_shutdown":
            self._threads.stopped(args[0])
        if signal in {"process_message", "skip_message"} and isinstance(args[0], SqliteMessage):
            self._threads.end(args[0])
            if isinstance(kwargs.get("exception"), LeaseLost):  # also one that the actor has raised by itself
                args[0].give_back()
        if signal == "process_message" and isinstance(args[0], SqliteMessage):
            if self._release_leaked_lock():
                self.logger.error(
                    "Message %s: its actor ended with the write lock held; released.",
                    args[0].message_id,
                    extra=log_fields(args[0].held, args[0].message_id),
                )
            with self._context.collect(args[0], failed=kwargs.get("exception") is not None):
                super().emit_after(signal, *args, **kwargs)
        else:
            super().emit_after(signal, *args, **kwargs)

    def dead_thread(self) -> str | None:
        """Return the name of a thread that this process needs and that has ended, for a supervisor; None if all live.

        A consumer thread or the writer thread, or the last worker thread of a worker. Cheap, and never blocks.
        """
        engine = self._opened
        if engine is not None and engine.writer.died:
            return "the broker's writer thread has ended"
        return self._threads.dead()

    # Clearing, ending.

    def flush(self, queue_name: str) -> None:
        """Delete all waiting, delayed and dead messages of a queue; the processing of others may end."""
        queue = q_name(queue_name)
        if queue not in self.queues:
            raise UnknownQueue(queue)
        self._engine().writer.call(lambda batch: flush(batch.connection, queue))

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
            UnknownQueue: the queue has not been declared.
            JoinTimeout: `timeout` milliseconds have passed.
        """
        queue = q_name(queue_name)
        if queue not in self.queues:
            raise UnknownQueue(queue)
        deadline_s = None if timeout is None else time.monotonic() + timeout / 1000
        while not inspection.is_empty(self._engine().database, queue):
            if deadline_s is not None and time.monotonic() >= deadline_s:
                raise JoinTimeout(f"queue {queue!r} was not empty after {timeout} ms")
            time.sleep(JOIN_INTERVAL_S)

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """Return how many messages of a queue are ready, delayed and dead."""
        return inspection.message_counts(self._engine().database, q_name(queue_name))

    def close(self) -> None:
        """Return the claimed messages and close the file. May be repeated; the next use opens it again."""
        with self._lock:
            engine, self._opened = self._opened, None
        if engine is not None:
            atexit.unregister(engine.close)
            engine.close()

    def reset_after_fork(self) -> None:
        """Drop the parent's engine, threads and transactions in a forked child."""
        self._lock = threading.Lock()
        self._context = self._new_context()
        self._threads = WorkerThreads()
        engine, self._opened = self._opened, None
        if engine is not None:
            atexit.unregister(engine.close)

    def _engine(self) -> Engine:
        """Return the engine of this process, started at the first use."""
        engine = self._opened
        if engine is not None:
            return engine
        with self._lock:
            if self._opened is None:
                self._opened = self._new_engine()
                atexit.register(self._opened.close)
            return self._opened


class SqliteBroker(DatabaseBroker):
    """Dramatiq messages in a SQLite file, which may be the application's own.

    Nothing is opened before the first use, and everything is opened anew in a forked child, so a broker can be made at
    import time. Messages survive `kill -9` of any process at any moment and, with `synchronous="FULL"`, a power cut.

    Args:
        path: the database file; its directory is made if it is missing. Not on a network file system.
        middleware: as in dramatiq; None is dramatiq's default list.
        synchronous: SQLite's; with "NORMAL" a power cut (not a crash) may undo the last commits.
        poll_interval_s: how often the tables are read without a notification; only a safety net.
        lease_s: after how long the messages of a frozen process go to others. Those of a dead one go at once.
        max_deliveries: a message whose processing was cut off this often is suspected of killing its workers and goes
            to the dead letters.
        dead_letters_kept_s: consuming processes delete dead letters that are older; None keeps them until purged.
        if_replaced: what to do when the file is deleted or replaced while it is open. "reopen" uses the new file, and
            creates it if it is missing. "refuse" raises `DatabaseReplaced` until the process is restarted, also if the
            WAL or the shared memory was deleted, and never creates the file; it is for applications with tables of
            their own in the file.
        before_write: called before each transaction of this process, with the write lock held; for an application that
            keeps a reserve of disk space for its commits. It must be quick and raise nothing.
        redact: returns the error text and traceback of a dead letter without secrets; it must raise nothing.
    """

    write_lock: WriteLock

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
        before_write: Callable[[], None] | None = None,
        redact: Callable[[str], str] = lambda text: text,
    ) -> None:
        self._paths = BrokerPaths(file_path(path))
        self._file_options = (synchronous, if_replaced, before_write)
        self.write_lock = WriteLock(path)
        super().__init__(
            Options(poll_interval_s, lease_s, max_deliveries, dead_letters_kept_s, redact),
            partial(SendContext, MESSAGE_SCHEMA, self.write_lock.call_after_release, self._notify),
            middleware,
        )

    def _parts(self) -> EngineParts:
        paths, options = self._paths, self._options
        return EngineParts(
            Database(paths.database, self.write_lock, *self._file_options),
            self.write_lock,
            Poller(paths.channels),
            ProcessRegistry(paths.leases, lease_s=options.lease_s, max_deliveries=options.max_deliveries),
        )

    def _notify(self, queues: set[str]) -> None:
        for queue in queues:
            with contextlib.suppress(OSError):  # others read the tables at poll_interval_s
                notify(str(self._paths.channels), queue)

    def _release_leaked_lock(self) -> bool:
        return self.write_lock.release_leaked()
