"""Notifications by LISTEN and NOTIFY.

They are sent after the commit and together: NOTIFY inside of a transaction takes a lock of the whole server until its
commit (a third fewer transactions, measured). PgBouncer in transaction mode swallows them, which a probe at the start
finds out; the tables are then read once a second.
"""

from __future__ import annotations

import hashlib
import logging
import select
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psycopg

from broker.engine.notifications import FALLBACK_POLL_S, Poller, Waiter
from broker.errors import DatabaseUnavailable
from broker.postgresql.database import NOTIFY, PostgresqlDatabase
from broker.postgresql.session import ServerSession

__all__ = ["PostgresqlPoller", "PostgresqlWaiter", "WaitersPoller"]

T = TypeVar("T")

POLL_S = 1.0  # between two reads of the tables where notifications do not arrive
PROBE_S = 1.0
RECONNECT_S = 1.0

logger = logging.getLogger(__name__)


def server_channel(channel: str) -> str:
    """Return the name of a channel at the server, which allows 63 characters."""
    return f"broker_{hashlib.sha256(channel.encode()).hexdigest()[:32]}"


class _ServerChannels:
    """A session that listens, with the names of the channels as the broker has them."""

    def __init__(self, session: ServerSession, writer_pid: Callable[[], int | None]) -> None:
        self.session = session
        self._writer_pid = writer_pid
        self.fd = session.fd
        self._channels: dict[str, str] = {}  # by name at the server

    def listen(self, channel: str) -> None:
        """Listen to a channel. Idempotent."""
        name = server_channel(channel)
        if name not in self._channels:
            self.session.run(f'LISTEN "{name}"')
            self._channels[name] = channel

    def notified(self) -> set[str]:
        """Return the channels notified by other processes since the last call, without blocking."""
        ours = {self.session.connection.info.backend_pid, self._writer_pid()}
        return {
            self._channels[name] for name, pid in self.session.notified() if pid not in ours and name in self._channels
        }

    def close(self) -> None:
        """Do nothing: the database closes the session."""


class PostgresqlPoller(Poller):
    """Blocks the writer's thread until something happens, and sends and receives notifications meanwhile."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        super().__init__(Path())
        self._database = database
        self._source: _ServerChannels | None = None
        self._pending: deque[str] = deque()  # to notify; changed by single operations only
        self._wanted: deque[tuple[str, Callable[[], None]]] = deque()  # to listen to; likewise
        self._retry_s = 0.0
        self._probed = False

    def notify(self, channels: Iterable[str]) -> None:
        """Notify these channels at once, or if that is not possible, have the writer's thread do it."""
        if channels and not self._database.notify([server_channel(channel) for channel in channels]):
            self._pending.extend(channels)
            self.wake()

    def listen(self, channel: str, callback: Callable[[], None]) -> None:
        """Have `wait` return and call `callback` when this channel is notified."""
        self._callbacks[channel] = callback
        if self._source is not None and not self._source.session.is_lost:
            try:
                self._source.listen(channel)
            except DatabaseUnavailable as error:
                self._lost(error)

    def wait(self, timeout_s: float) -> None:
        """Send what is to be notified, then block until something happens or the time has passed."""
        wanted = self._take_wanted()
        try:
            self._connect()
            self._send()
            received = self._source.notified() if self._source is not None else set()
        except (DatabaseUnavailable, psycopg.Error) as error:
            self._lost(error)
            received = set()
        for channel in received | wanted:
            self._callbacks[channel]()
        try:
            super().wait(0.0 if received else min(timeout_s, self._reconnect_in_s()))
        except psycopg.Error as error:
            self._lost(error)

    def listen_soon(self, channel: str, callback: Callable[[], None]) -> None:
        """Have the writer's thread listen to a channel, and call `callback` when it does and when it is notified."""
        self._wanted.append((channel, callback))
        self.wake()

    def close(self) -> None:
        """Send the last notifications, and stop listening."""
        self._retry_s = 0.0
        try:
            self._send()
        except (DatabaseUnavailable, psycopg.Error) as error:
            logger.warning("The last notifications were not sent (%s).", error)
        super().close()
        self._database.drop_listener()

    def probe(self) -> bool:
        """Return whether notifications arrive, tried once with a second connection.

        Raises:
            DatabaseUnavailable: the server cannot be reached.
        """
        if not self._probed:
            if not self._arrives():
                logger.warning("Notifications do not arrive (a pooler in transaction mode?): the queues are polled.")
                self.fallback_interval_s = POLL_S
            self._probed = True
        return self.fallback_interval_s is None

    def _take_wanted(self) -> set[str]:
        taken = [self._wanted.popleft() for _ in range(len(self._wanted))]
        for channel, callback in taken:
            self.listen(channel, callback)
        return {channel for channel, _ in taken}

    def _arrives(self) -> bool:
        source = self._new_source()
        channel = f".probe-{uuid4().hex}"
        source.listen(channel)
        other = self._database.second_session()
        try:
            other.run("SELECT pg_notify(?, '')", (server_channel(channel),))
        finally:
            other.close()
        waiting = select.poll()  # not `select`, which refuses descriptors beyond 1,023
        waiting.register(source.fd, select.POLLIN)
        waiting.poll(1000 * PROBE_S)
        arrived = source.notified() == {channel}
        source.session.run(f'UNLISTEN "{server_channel(channel)}"')
        return arrived

    def _new_source(self) -> _ServerChannels:
        return _ServerChannels(self._database.listening(), lambda: self._database.writer_pid)

    def _connect(self) -> None:
        """Listen to all channels, again after the connection was lost; what was missed is read from the tables."""
        if self._source is not None and self._source.session.is_lost:
            self._lost(DatabaseUnavailable("the connection was closed"))
        if self._source is not None or not self._callbacks or time.monotonic() < self._retry_s:
            return
        if not self.probe():
            return
        source = self._new_source()
        for channel in self._callbacks:
            source.listen(channel)
        self._source = self._listener = source
        self._poll.register(source.fd, select.POLLIN)
        for callback in list(self._callbacks.values()):
            callback()

    def _send(self) -> None:
        if not self._pending or time.monotonic() < self._retry_s:
            return
        channels = {self._pending.popleft() for _ in range(len(self._pending))}
        try:
            self._database.listening().run(NOTIFY, ([server_channel(channel) for channel in channels],))
        except BaseException:
            self._pending.extend(channels)  # once more on the next connection: others would wait for `poll_interval_s`
            raise

    def _lost(self, error: BaseException) -> None:
        logger.warning("Notifications: the connection was lost (%s), connecting again.", error)
        if self._source is not None:
            self._poll.unregister(self._source.fd)
        self._source = self._listener = None
        self._database.drop_listener()
        self._retry_s = time.monotonic() + RECONNECT_S

    def _reconnect_in_s(self) -> float:
        """Return in how many seconds to connect again; for ever while connected."""
        if self._pending:
            return max(0.05, self._retry_s - time.monotonic())
        if self._source is not None or not self._callbacks or self.fallback_interval_s is not None:
            return 3600.0
        return max(0.05, self._retry_s - time.monotonic())


class WaitersPoller(PostgresqlPoller):
    """A poller for a backend, whose notifications also wake the threads of this process that wait."""

    def notify(self, channels: Iterable[str]) -> None:
        """Call back here, and have the writer's thread notify the other processes."""
        super().notify(channels)
        for channel in channels:
            callback = self._callbacks.get(channel)
            if callback is not None:
                callback()


class PostgresqlWaiter(Waiter):
    """Blocks threads until what they wait for has been written, notified by the poller of the writer's thread."""

    def __init__(self, poller: WaitersPoller) -> None:
        super().__init__()
        self._poller = poller
        self._channels: set[str] = set()
        self._closed = False
        self._has_failed = False  # the last read

    def wait(self, read: Callable[[], T | None], channel: str, timeout_s: float) -> T | None:
        """Return what `read` finds, as `Waiter.wait`; a server that is gone meanwhile does not end the wait.

        Raises:
            DatabaseUnavailable: it is still gone at the end of the timeout.
        """
        failures: list[DatabaseUnavailable] = []

        def read_if_possible() -> T | None:
            failures.clear()
            try:
                found = read()
            except DatabaseUnavailable as error:
                failures.append(error)
                found = None
            self._has_failed = bool(failures)
            return found

        found = super().wait(read_if_possible, channel, timeout_s)
        if failures:
            raise failures[0]
        return found

    def close(self) -> None:
        """Let the threads that are still blocked poll."""
        self._closed = True
        self.wake()

    def _listen(self, channel: str) -> bool:
        if channel not in self._channels:
            self._poller.listen_soon(channel, partial(self.wake, {channel}))
            self._channels.add(channel)  # last: an exception may be raised into this thread
        return not self._closed and self._poller.fallback_interval_s is None

    def _interval_s(self, *, listens: bool) -> float:
        # A notification is used up by a read that fails, so the tables are read again soon.
        return FALLBACK_POLL_S if listens and not self._has_failed else POLL_S
