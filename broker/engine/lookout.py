"""Waiting for something that another process will write: a look at the tables whenever its bell rings, no polling.

One thread and one inotify descriptor for all waiting threads of a process. No SQL in this module.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from broker.engine.notifications import Listener

__all__ = ["Lookout", "bell_of"]

T = TypeVar("T")

BELLS_A_KIND = 64  # a bell for every key would leave files behind; one bell for all would wake everybody each time
NAP_S = 1.0  # dramatiq raises exceptions into threads; one that sleeps notices it when it wakes up
LOOK_ANYWAY_S = 30.0  # although no bell rang; only a safety net
DEAF_LOOK_S = 0.25  # where there is no inotify

logger = logging.getLogger(__name__)


def bell_of(kind: str, key: str) -> str:
    """Return the name of the bell that is rung for a key; no queue can have this name."""
    return f".{kind}-{zlib.crc32(key.encode()) % BELLS_A_KIND:02x}"


class _Sleeper:
    """A thread that waits. A bare lock, not an Event: an exception raised into the thread cannot leave it half-held."""

    __slots__ = ("_asleep", "bell")

    def __init__(self, bell: str) -> None:
        self.bell = bell
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # awake already
            self._asleep.release()

    def sleep(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._asleep.acquire(timeout=min(left_s, NAP_S)):
                return


class Lookout:
    """Starts its thread when made; `close` ends it. Belongs to the process that made it."""

    def __init__(self, bells: Path) -> None:
        self._sleepers: dict[_Sleeper, None] = {}  # changed by single operations only, which need no lock
        self._listener: Listener | None = None
        try:
            self._listener = Listener(bells)
        except OSError as error:
            logger.warning("No doorbell (%s): what is waited for is looked at four times a second instead.", error)
            return
        self._end = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="broker-lookout", daemon=True, args=(self._listener,))
        self._thread.start()

    def until(self, look: Callable[[], T | None], bell: str, timeout_s: float) -> T | None:
        """Return what `look` finds, at once or after one of the bell's rings; None when the time is over.

        Args:
            look: called on this thread, each time after listening has begun, so that no ring is missed in between.
            timeout_s: may be infinite.
        """
        deadline_s = time.monotonic() + timeout_s
        sleeper = _Sleeper(bell)
        try:
            self._sleepers[sleeper] = None
            while True:
                pause_s = LOOK_ANYWAY_S if self._listens(bell) else DEAF_LOOK_S
                found = look()
                left_s = deadline_s - time.monotonic()
                if found is not None or left_s <= 0:
                    return found
                sleeper.sleep(min(left_s, pause_s))
        finally:
            self._sleepers.pop(sleeper, None)

    def close(self) -> None:
        """End the thread. Whoever still waits looks four times a second from then on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            os.eventfd_write(self._end, 1)
            self._thread.join()
            listener.close()
            os.close(self._end)
            for sleeper in self._sleepers.copy():
                sleeper.wake()

    def forget(self) -> None:
        """Close a forked child's copies of the parent's descriptors."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            os.close(self._end)

    def _listens(self, bell: str) -> bool:
        listener = self._listener
        if listener is None:
            return False
        try:
            listener.watch(bell)  # again after every ring: the file may have been replaced
        except OSError as error:
            logger.warning("The bell %s cannot be heard: %s", bell, error)
            return False
        return True

    def _run(self, listener: Listener) -> None:
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        poll.register(listener.fd, select.POLLIN)
        while self._end not in {fd for fd, _ in poll.poll()}:
            heard = listener.heard()
            for sleeper in self._sleepers.copy():
                if sleeper.bell in heard:
                    sleeper.wake()


def seconds(timeout_ms: float | None) -> float:
    """Return a timeout of dramatiq's, milliseconds or None for ever, in seconds."""
    return math.inf if timeout_ms is None else timeout_ms / 1000
