"""Notifications between processes, as LISTEN and NOTIFY in PostgreSQL, and the blocking waits for them.

A channel is an empty file that listeners watch through inotify; opening the file notifies them. Notifications are sent
after a commit. The kernel keeps the event until it is read, so a listener that watches before it reads the tables
cannot miss one. Measured: 0.4 ms from commit to wake-up, without polling. Opening changes nothing on the disk; touching
the file instead would give every sync of the WAL an inode more to write (60 us a commit, measured with ext4).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import math
import os
import select
import struct
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeVar
from weakref import finalize

from broker.storage.fork import close_descriptor, close_in_children
from broker.storage.thread_starter import start_thread

__all__ = [
    "CANCELLED",
    "FALLBACK_POLL_S",
    "WORKERS",
    "ChannelWaiter",
    "Listener",
    "NotificationSource",
    "Poller",
    "Waiter",
    "channel_of",
    "notify",
]

T = TypeVar("T")

# Channels that are not a queue's; no queue can have these names.
WORKERS = ".workers"  # a process has registered as a consumer
CANCELLED = ".cancelled"  # a message that is being processed was cancelled

CHANNELS_PER_KIND = 64  # one channel per key would leave files behind; one for all would wake every waiter each time
CHECK_INTERRUPT_S = 1.0  # dramatiq raises exceptions into threads; a blocked thread notices them when it wakes up
FALLBACK_POLL_S = 30.0  # how often a waiter reads the tables without a notification; only a safety net
NO_INOTIFY_POLL_S = 0.25  # the same where inotify is missing
LISTEN_ATTEMPTS = 10  # at a channel whose file another process deletes at the same moment

_IN_OPEN = 0x00000020
_IN_NONBLOCK = os.O_NONBLOCK
_IN_CLOEXEC = os.O_CLOEXEC
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows (inotify(7))

logger = logging.getLogger(__name__)


def notify(channels: str, channel: str) -> None:
    """Wake every process that listens to a channel. Needs no disk space; harmless without listeners."""
    path = f"{channels}/{channel}"
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        Path(channels).mkdir(parents=True, exist_ok=True)
        Path(path).touch()  # a file made just now has no listeners; later ones read the tables first


def channel_of(kind: str, key: str) -> str:
    """Return the name of the channel for a key; no queue can have this name."""
    return f".{kind}-{zlib.crc32(key.encode()) % CHANNELS_PER_KIND:02x}"


class NotificationSource(Protocol):
    """A descriptor that becomes readable when a channel is notified."""

    fd: int

    def listen(self, channel: str) -> None:
        """Listen to a channel. Idempotent."""

    def notified(self) -> set[str]:
        """Return the channels notified since the last call, without blocking."""

    def close(self) -> None:
        """Stop listening."""


class Listener:
    """One inotify descriptor that watches any number of channels.

    Raises:
        OSError: the system has no inotify, or its limit of instances (128 a user) is reached.
    """

    def __init__(self, channels: Path) -> None:
        self._channels = channels
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._names: dict[int, str] = {}
        self.fd: int = close_in_children(self._checked(self._libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)))

    def listen(self, channel: str) -> None:
        """Watch a channel, again if its file was replaced. Idempotent."""
        for attempt in range(LISTEN_ATTEMPTS):
            try:
                self._watch(channel)
            except FileNotFoundError:  # deleted again meanwhile
                if attempt == LISTEN_ATTEMPTS - 1:
                    raise
            else:
                return

    def _watch(self, channel: str) -> None:
        path = self._channels / channel
        if not path.exists():
            self._channels.mkdir(parents=True, exist_ok=True)
            path.touch()
        watch = self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(path), _IN_OPEN))
        self._names[watch] = channel

    def notified(self) -> set[str]:
        """Return the channels notified since the last call, without blocking."""
        try:
            events = os.read(self.fd, 65536)
        except BlockingIOError:
            return set()
        names: set[str] = set()
        offset = 0
        while offset < len(events):
            watch, _, _, length = _EVENT.unpack_from(events, offset)
            offset += _EVENT.size + length
            if watch in self._names:
                names.add(self._names[watch])
            else:  # the kernel's event queue overflowed (watch -1): any channel may have been notified
                names.update(self._names.values())
        return names

    def close(self) -> None:
        """Stop listening."""
        close_descriptor(self.fd)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"inotify: {os.strerror(code)} ({errno.errorcode.get(code, code)})")
        return result


class Poller:
    """Blocks one thread until it is woken, a channel is notified, a watched process exits, or a time has passed.

    All methods but `wake` belong to that thread.
    """

    def __init__(self, channels: Path) -> None:
        self._channels = channels
        self._directory = str(channels)
        self._wakeups = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Closed when no thread can call `wake` any more: it must not write into a file that got the same number.
        finalize(self, os.close, self._wakeups).atexit = False
        self._woken = False
        self._asleep = False
        self._listener: NotificationSource | None = None
        self._callbacks: dict[str, Callable[[], None]] = {}  # by channel
        self._on_exit: Callable[[], None] | None = None
        self._pidfds: dict[int, int] = {}  # by process id
        self._poll = select.poll()
        self._poll.register(self._wakeups, select.POLLIN)
        self.fallback_interval_s: float | None = None  # how often the tables must be read without notifications

    def wake(self) -> None:
        """Wake the thread that waits. Any thread, also in a signal handler."""
        self._woken = True  # set before `_asleep` is read; `wait` does both in the other order
        if not self._asleep:
            return  # spares a system call, and with it a change of threads
        try:
            os.eventfd_write(self._wakeups, 1)
        except BlockingIOError:  # woken 2**64 times: it is awake
            return

    def notify(self, channels: Iterable[str]) -> None:
        """Wake the processes that listen to these channels. Any thread."""
        for channel in channels:
            try:
                notify(self._directory, channel)
            except OSError as error:  # other processes read the tables at poll_interval_s
                logger.debug("Channel %s: notification failed: %s", channel, error)

    def listen(self, channel: str, callback: Callable[[], None]) -> None:
        """Have `wait` return and call `callback` when this channel is notified."""
        self._callbacks[channel] = callback
        if self.fallback_interval_s is not None:
            return
        try:
            if self._listener is None:
                self._listener = Listener(self._channels)
                self._poll.register(self._listener.fd, select.POLLIN)
            self._listener.listen(channel)
        except OSError as error:
            logger.warning("Notifications unavailable (%s): the queues are polled four times a second.", error)
            self.fallback_interval_s = NO_INOTIFY_POLL_S

    def watch_processes(self, pids: set[int], callback: Callable[[], None]) -> None:
        """Have `wait` return and call `callback` when one of these processes exits (a pidfd becomes readable)."""
        self._on_exit = callback
        for pid in set(self._pidfds) - pids:
            self._unwatch_process(pid)
        for pid in pids - set(self._pidfds):
            # Not permitted, another PID namespace, or exited already: the lease files are read, too.
            with contextlib.suppress(OSError):
                self._pidfds[pid] = close_in_children(os.pidfd_open(pid))
                self._poll.register(self._pidfds[pid], select.POLLIN)

    def wait(self, timeout_s: float) -> None:
        """Block until something happens or the time has passed, then run the callbacks."""
        self._asleep = True
        events = self._poll.poll(0 if self._woken else math.ceil(max(0.0, timeout_s) * 1000))
        self._asleep = self._woken = False
        for fd, _ in events:
            if fd == self._wakeups:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(fd)
            elif self._listener is not None and fd == self._listener.fd:
                for channel in self._listener.notified():
                    self._callbacks[channel]()
            else:
                self._process_exited(fd)

    def close(self) -> None:
        """Stop listening and watching."""
        for pid in list(self._pidfds):
            self._unwatch_process(pid)
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _process_exited(self, exited: int) -> None:
        for pid in [pid for pid, pidfd in self._pidfds.items() if pidfd == exited]:
            self._unwatch_process(pid)
        if self._on_exit is not None:
            self._on_exit()

    def _unwatch_process(self, pid: int) -> None:
        pidfd = self._pidfds.pop(pid)
        self._poll.unregister(pidfd)
        close_descriptor(pidfd)


class _Wait:
    """A blocked thread. A bare lock, not an Event: an exception raised into the thread cannot leave it half-held."""

    __slots__ = ("_blocked", "channel")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self._blocked = threading.Lock()
        self._blocked.acquire()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # awake already
            self._blocked.release()

    def block(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._blocked.acquire(timeout=min(left_s, CHECK_INTERRUPT_S)):
                return


class Waiter(ABC):
    """Blocks threads until what they wait for has been written by another process."""

    def __init__(self) -> None:
        self._waits: dict[_Wait, None] = {}  # changed by single operations only, which need no lock

    def wait(self, read: Callable[[], T | None], channel: str, timeout_s: float) -> T | None:
        """Return what `read` finds, at once or after a notification; None when the time has passed.

        Args:
            read: called on this thread, each time after listening has begun, so that no notification is missed.
            timeout_s: may be infinite.
        """
        deadline_s = time.monotonic() + timeout_s
        wait = _Wait(channel)
        try:
            self._waits[wait] = None
            while True:
                listens = self._listen(channel)
                found = read()
                left_s = deadline_s - time.monotonic()
                if found is not None or left_s <= 0:
                    return found
                wait.block(min(left_s, self._interval_s(listens=listens)))
        finally:
            self._waits.pop(wait, None)

    def wake(self, channels: set[str] | None = None) -> None:
        """Wake the threads that wait for one of these channels; None: all."""
        for wait in self._waits.copy():
            if channels is None or wait.channel in channels:
                wait.wake()

    @abstractmethod
    def close(self) -> None:
        """End its thread, if it has one. Threads that are still blocked poll from then on."""

    @abstractmethod
    def _listen(self, channel: str) -> bool:
        """Listen to a channel; returns whether its notifications will arrive."""

    @abstractmethod
    def _interval_s(self, *, listens: bool) -> float:
        """Return after how long the tables must be read again without a notification; called after each read."""


class ChannelWaiter(Waiter):
    """A waiter for the channels of a directory.

    One thread and one inotify descriptor serve all blocked threads of a process. Starts its thread when made; `close`
    ends it.
    """

    def __init__(self, channels: Path) -> None:
        super().__init__()
        self._listener: Listener | None = None
        try:
            self._listener = Listener(channels)
        except OSError as error:
            logger.warning("Notifications unavailable (%s): the tables are polled four times a second.", error)
            return
        self._end = close_in_children(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        self._thread = threading.Thread(target=self._run, name="broker-waiter", daemon=True, args=(self._listener,))
        start_thread(self._thread)

    def close(self) -> None:
        """End the thread. Threads that are still blocked poll four times a second from then on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            os.eventfd_write(self._end, 1)
            self._thread.join()
            listener.close()
            close_descriptor(self._end)
            self.wake()

    def _listen(self, channel: str) -> bool:
        listener = self._listener
        if listener is None:
            return False
        try:
            listener.listen(channel)  # again after every notification: the file may have been replaced
        except OSError as error:
            logger.warning("Channel %s: listening failed: %s", channel, error)
            return False
        return True

    def _interval_s(self, *, listens: bool) -> float:
        return FALLBACK_POLL_S if listens else NO_INOTIFY_POLL_S

    def _run(self, listener: Listener) -> None:
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        poll.register(listener.fd, select.POLLIN)
        while self._end not in {fd for fd, _ in poll.poll()}:
            self.wake(listener.notified())
