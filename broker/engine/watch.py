"""Everything the clerk sleeps on: orders of this process, doorbells of others, the death of others, and a time."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
from weakref import finalize

from broker.engine.notifications import Listener
from broker.storage.places import Places

__all__ = ["Watch", "Woken"]

logger = logging.getLogger(__name__)


class Woken:
    """Why the clerk woke up."""

    __slots__ = ("bells", "death")

    def __init__(self) -> None:
        self.bells: set[str] = set()
        self.death = False


class Watch:
    """One poll over all of it. Used by the clerk's thread, but for `nudge`."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._nudges = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Closed when nobody can nudge any more: a late nudge must not be written into a file that got the same number.
        finalize(self, os.close, self._nudges).atexit = False
        self._nudged = False
        self._asleep = False
        self._listener: Listener | None = None
        self._deaf = False
        self._deaths: dict[int, int] = {}  # process id → pidfd
        self._poll = select.poll()
        self._poll.register(self._nudges, select.POLLIN)

    @property
    def deaf(self) -> bool:
        """Whether there is no inotify here, so that somebody must look at the tables now and then."""
        return self._deaf

    def nudge(self) -> None:
        """Wake the clerk. Any thread, also in a signal handler."""
        self._nudged = True  # first the note, then the look whether it sleeps: the clerk does it the other way round
        if not self._asleep:
            return  # spares a system call, and with it a change of threads
        with contextlib.suppress(BlockingIOError):  # nudged 2**64 times: it is awake
            os.eventfd_write(self._nudges, 1)

    def listen(self, bell: str) -> None:
        """Wake up when this bell rings."""
        if self._deaf:
            return
        try:
            if self._listener is None:
                self._listener = Listener(self._places.bells)
                self._poll.register(self._listener.fd, select.POLLIN)
            self._listener.watch(bell)
        except OSError as error:
            logger.warning("No doorbell (%s): the queue is looked at four times a second instead.", error)
            self._deaf = True

    def mourn(self, pids: set[int]) -> None:
        """Wake up at once when one of these processes dies (a pidfd becomes readable)."""
        for pid in set(self._deaths) - pids:
            self._unmourn(pid)
        for pid in pids - set(self._deaths):
            # Not permitted, another PID namespace, or dead already: the patrol feels the lease, too.
            with contextlib.suppress(OSError):
                self._deaths[pid] = os.pidfd_open(pid)
                self._poll.register(self._deaths[pid], select.POLLIN)

    def wait(self, timeout_s: float) -> Woken:
        """Sleep until something happens or the time is over."""
        woken = Woken()
        self._asleep = True
        events = self._poll.poll(0 if self._nudged else math.ceil(max(0.0, timeout_s) * 1000))
        self._asleep = self._nudged = False
        for fd, _ in events:
            if fd == self._nudges:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(fd)
            elif self._listener is not None and fd == self._listener.fd:
                woken.bells |= self._listener.heard()
            else:
                woken.death = True
                for pid in [pid for pid, pidfd in self._deaths.items() if pidfd == fd]:
                    self._unmourn(pid)
        return woken

    def close(self) -> None:
        """Stop listening and mourning; also right in a forked child, whose copies they are."""
        self.mourn(set())
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _unmourn(self, pid: int) -> None:
        pidfd = self._deaths.pop(pid)
        self._poll.unregister(pidfd)
        os.close(pidfd)
