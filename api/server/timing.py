"""Deadlines of connections: what a client may take for each phase of a request.

A deadline is absolute or a minimum rate. An idle time alone would end at each byte, so that a client could hold a
connection for ever by sending one byte now and then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto


class Phase(Enum):
    """The phase of a connection, named after that for which the server waits."""

    OPENED = auto()  # the first byte of its first request
    IDLE = auto()  # the next request
    HEAD = auto()  # the rest of a request's head
    BODY = auto()  # the body of a request that is no upload
    UPLOAD = auto()  # the body of an authenticated upload
    RUNNING = auto()  # the application, which runs in a thread or waits for one
    RESPONSE = auto()  # the client, which must read the response
    DOWNLOAD = auto()  # the client, which must read a file; the response takes no memory
    LINGERING = auto()  # the client, which must read an error before the connection is closed


@dataclass(frozen=True)
class Allowance:
    """The time that a client has for one phase.

    Attributes:
        window_s: the phase ends after this time, or begins anew if `window_bytes` have passed in it.
        window_bytes: minimum in each window; infinite for an absolute deadline.
        silence_s: maximum time without any byte.
    """

    window_s: float
    window_bytes: float = math.inf
    silence_s: float = math.inf


ALLOWANCES: dict[Phase, Allowance] = {
    # 15 s from the connection or the first byte: a head fits into a few packets. Go's documentation recommends 5 to
    # 20 s, Apache's mod_reqtimeout has 20 s.
    Phase.OPENED: Allowance(15),
    Phase.HEAD: Allowance(15),
    # Fly's proxy keeps its connections as long; the oldest ones are closed earlier if connections run out.
    Phase.IDLE: Allowance(120),
    # 500 bytes a second, as in mod_reqtimeout. Such a body has at most 64 kB.
    Phase.BODY: Allowance(20, 10_000),
    # A phone in a tunnel is silent for two minutes. 500 bytes a second is a tenth of the slowest mobile network.
    Phase.UPLOAD: Allowance(600, 300_000, silence_s=150),
    Phase.RUNNING: Allowance(math.inf),
    # 2 kB a second; pages have at most 12 kB.
    Phase.RESPONSE: Allowance(30, 60_000),
    # A paused video player reads nothing, and asks for the rest later.
    Phase.DOWNLOAD: Allowance(120, 120_000),
    Phase.LINGERING: Allowance(30),
}

EVICTION_ORDER: dict[Phase, int] = {
    Phase.LINGERING: 0,
    Phase.IDLE: 1,
    Phase.OPENED: 2,
    Phase.HEAD: 2,
    Phase.BODY: 2,
    Phase.RESPONSE: 2,
    Phase.DOWNLOAD: 3,
}
"""Rank of the phases in which a connection may be closed for another one; lower ranks are closed first.

Uploads and running requests are missing: the first need a key, the second end by themselves.
"""


class PhaseTimer:
    """The phase of one connection, and its progress.

    `add` may be called from any thread, the other methods from the server's loop.
    """

    def __init__(self, now_s: float) -> None:
        """Begin with the phase OPENED.

        Args:
            now_s: a clock in seconds that is never set.
        """
        self.begin(Phase.OPENED, now_s)

    def begin(self, phase: Phase, now_s: float) -> None:
        """Begin a phase."""
        self.phase = phase
        self.since_s = now_s
        self._window_s = now_s
        self._window_bytes = 0
        self._moved = False
        self._moved_s = now_s

    def add(self, size_bytes: int) -> None:
        """Add bytes that were received or sent in this phase."""
        self._window_bytes += size_bytes
        self._moved = True

    def overdue(self, now_s: float) -> bool:
        """Return whether the client has used up its time; call it about once a second."""
        allowance = ALLOWANCES[self.phase]
        if self._moved:
            self._moved, self._moved_s = False, now_s
        if now_s - self._moved_s > allowance.silence_s:
            return True
        if now_s - self._window_s <= allowance.window_s:
            return False
        if self._window_bytes < allowance.window_bytes:
            return True
        self._window_s, self._window_bytes = now_s, 0
        return False

    @property
    def evictable(self) -> bool:
        """Return whether the connection may be closed for another one."""
        return self.phase in EVICTION_ORDER

    @property
    def eviction_key(self) -> tuple[int, float]:
        """Return the key by which evictable connections are sorted, the first to close first."""
        return EVICTION_ORDER[self.phase], self.since_s
