"""Queue of the requests that wait for a thread: each client address has the same share of the threads.

A client that sends many requests at the same time delays its own requests, not those of others. This is start-time
fair queueing (Goyal, Vin, Cheng 1996) with requests of equal length. Every other request that is taken is the first one
of its connection, if there is any, so that pipelined requests of many addresses do not delay new clients.
"""

from __future__ import annotations

import heapq
import itertools
import time
from typing import Any

MAX_ADDRESSES = 10_000


class RequestQueue:
    """Replaces the deque of waitress' task dispatcher, which holds its lock at each call.

    Attributes:
        taken_s: when a thread last took a request, or the first of the waiting ones came, by `time.monotonic`.
    """

    def __init__(self) -> None:
        # Any: connections, of waitress. The first requests of connections, and later ones.
        self._heaps: tuple[list[tuple[int, int, Any]], list[tuple[int, int, Any]]] = ([], [])
        self._next = 0  # the heap to take from
        self._numbers = itertools.count()
        self.taken_s = 0.0
        self._round = 0  # of the request that was taken last
        self._next_rounds: dict[str, int] = {}  # the earliest round of an address' next request

    def __len__(self) -> int:
        return len(self._heaps[0]) + len(self._heaps[1])

    def append(self, connection: Any) -> None:  # Any: as above
        """Add a connection whose request is complete."""
        if not len(self):
            self.taken_s = time.monotonic()
        address = connection.client
        own_round = max(self._round, self._next_rounds.get(address, 0))
        if len(self._next_rounds) >= MAX_ADDRESSES:
            self._next_rounds = {key: value for key, value in self._next_rounds.items() if value > self._round}
        self._next_rounds[address] = own_round + 1
        heap = self._heaps[0 if connection.first_request else 1]
        heapq.heappush(heap, (own_round, next(self._numbers), connection))

    def popleft(self) -> Any:  # Any: as above
        """Remove and return the next connection: one of each address, then the second one of each, and so on."""
        self.taken_s = time.monotonic()
        heap = self._heaps[self._next] or self._heaps[1 - self._next]
        self._next = 1 - self._next
        own_round, _, connection = heapq.heappop(heap)
        self._round = max(self._round, own_round)
        if not len(self):
            self._next_rounds.clear()
        return connection
