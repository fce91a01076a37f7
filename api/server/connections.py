"""The open connections of one port: number, share of each address, deadlines and memory.

A new connection is always accepted. If it is one too many, the connection that has waited longest for its client is
closed; an authenticated upload or a running request never is.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from api.http.connection_counters import ConnectionCounters, Refusal
from api.http.problems import Problem
from api.server.timing import PhaseTimer


@dataclass(frozen=True)
class ConnectionLimits:
    """The limits of one port.

    Attributes:
        total: maximum number of connections.
        per_address: maximum number of connections of one client address.
        held_bytes: maximum memory for incomplete requests, pending input and unread responses of all connections.
    """

    total: int = 1000
    per_address: int = 100
    held_bytes: int = 16 * 2**20


class OpenConnection(Protocol):
    """The part of a connection that the registry needs."""

    timing: PhaseTimer

    @property
    def held_bytes(self) -> int:
        """Memory that it holds now, without its own objects."""

    def close_for(self, reason: Refusal) -> None:
        """Close it, with an error response if a request is incomplete."""


class Connections:
    """All connections of one port. Its methods are called from the server's loop."""

    def __init__(
        self, limits: ConnectionLimits, counters: ConnectionCounters, now_s: Callable[[], float], *, share_peers: bool
    ) -> None:
        """Prepare.

        Args:
            now_s: a clock in seconds that is never set.
            share_peers: limit the connections of each peer. Not behind a proxy, which is the only peer; its clients
                are told to `attribute`. Loopback addresses have no exception: a proxy on the same machine needs fewer
                connections than an address may have.
        """
        self.limits = limits
        self.counters = counters
        self.now_s = now_s
        self._share_peers = share_peers
        self._address: dict[OpenConnection, str] = {}
        self._shares: defaultdict[str, dict[OpenConnection, None]] = defaultdict(dict)
        self._attributed: dict[OpenConnection, str] = {}
        self._held: dict[OpenConnection, int] = {}
        self._held_bytes = 0
        self._frees = False

    def __len__(self) -> int:
        return len(self._address)

    def add(self, connection: OpenConnection, address: str) -> None:
        """Register a new connection; close another one if there are too many.

        Args:
            address: of the peer, from `client_address`.
        """
        self._address[connection] = address
        if self._share_peers and not self._join(connection, address):
            self._close(connection, Refusal.ADDRESS_SHARE)
            return
        if len(self._address) > self.limits.total:
            # Several at once: each search looks at all connections.
            others = (other for other in self._address if other is not connection)
            excess = len(self._address) - self.limits.total
            if not self._close_oldest(others, excess + self.limits.total // 20, Refusal.CONNECTION_LIMIT):
                self._close(connection, Refusal.CONNECTION_LIMIT)

    def remove(self, connection: OpenConnection) -> None:
        """Remove a closed connection; nothing happens if it is unknown."""
        self.release(connection)
        self._attributed.pop(connection, None)
        address = self._address.pop(connection, None)
        if address is not None and self._share_peers:
            self._leave(connection, address)
        self._held_bytes -= self._held.pop(connection, 0)

    def attribute(self, connection: OpenConnection, client: str) -> None:
        """Count a connection of a proxy for the client of its current request.

        Raises:
            Problem: 429 if the client has too many requests in progress.
        """
        self._attributed[connection] = client
        if not self._join(connection, client):
            self.release(connection)
            detail = f"at most {self.limits.per_address} requests of one address at the same time"
            self.counters.count(Refusal.ADDRESS_SHARE, client)
            raise Problem(429, "too_many", detail, headers={"Retry-After": "1"})

    def release(self, connection: OpenConnection) -> None:
        """End what `attribute` began."""
        client = self._attributed.pop(connection, None)
        if client is not None:
            self._leave(connection, client)

    def address(self, connection: OpenConnection) -> str:
        """Return the address of the client: of its current request behind a proxy, else of the peer."""
        return self._attributed.get(connection) or self._address.get(connection, "")

    def hold(self, connection: OpenConnection) -> None:
        """Update the memory of a connection; close the oldest ones that hold memory if it is too much."""
        if connection not in self._address:
            return
        held = connection.held_bytes
        self._held_bytes += held - self._held.get(connection, 0)
        if held:
            self._held[connection] = held
        else:
            self._held.pop(connection, None)
        if self._held_bytes > self.limits.held_bytes and not self._frees:
            self._frees = True  # closing a connection updates its memory, too
            try:
                self._free_memory(connection)
            finally:
                self._frees = False

    def evict(self, number: int) -> None:
        """Close the oldest connections, because the process has no file descriptor left."""
        self._close_oldest(self._address, number, Refusal.CONNECTION_LIMIT)

    def tick(self) -> None:
        """Close the connections whose clients have used up their time; update and log the counters."""
        now_s = self.now_s()
        for connection in list(self._address):
            if connection.timing.overdue(now_s):
                connection.close_for(Refusal.HEAD_TIMEOUT)
        self.counters.open_connections = len(self._address)
        self.counters.held_bytes = self._held_bytes
        self.counters.log(now_s)

    def _join(self, connection: OpenConnection, client: str) -> bool:
        """Add a connection to the share of an address; return False if the share is exhausted."""
        share = self._shares[client]
        share[connection] = None
        if len(share) <= self.limits.per_address:
            return True
        others = (other for other in share if other is not connection)
        return bool(self._close_oldest(others, 1, Refusal.ADDRESS_SHARE))

    def _leave(self, connection: OpenConnection, client: str) -> None:
        share = self._shares[client]
        share.pop(connection, None)
        if not share:
            del self._shares[client]

    def _free_memory(self, connection: OpenConnection) -> None:
        target = self.limits.held_bytes * 9 // 10
        oldest = sorted(
            (other for other in self._held if other.timing.evictable), key=lambda other: other.timing.since_s
        )
        for other in oldest:
            if self._held_bytes <= target:
                return
            self._close(other, Refusal.MEMORY)
        if self._held_bytes > self.limits.held_bytes and connection in self._address:
            self._close(connection, Refusal.MEMORY)

    def _close_oldest(self, candidates: Iterable[OpenConnection], number: int, reason: Refusal) -> int:
        evictable = (one for one in candidates if one.timing.evictable)
        oldest = heapq.nsmallest(number, evictable, key=lambda one: one.timing.eviction_key)
        for one in oldest:
            self._close(one, reason)
        return len(oldest)

    def _close(self, connection: OpenConnection, reason: Refusal) -> None:
        connection.close_for(reason)
        self._held_bytes -= self._held.pop(connection, 0)
