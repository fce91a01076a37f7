"""Sending inside a transaction of the caller's own: messages commit or roll back with it.

The insertion runs on the caller's thread and connection. What must wait for the commit (bells, hooks) is kept until
the block is left.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from broker.engine.notifications import ring
from broker.errors import NotJoined
from broker.storage.encoding import AnyMessage
from broker.storage.places import Places
from broker.storage.queue import Entry, store
from broker.storage.schema import Cursorable, ensure_schema

__all__ = ["Joined", "Joining"]


@dataclass(slots=True)
class Joined:
    """A joined transaction and what was sent in it."""

    connection: Cursorable
    sent: list[tuple[AnyMessage, int | None]] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)

    def add(self, entries: list[Entry], sent: list[tuple[AnyMessage, int | None]], now_ms: int) -> None:
        """Insert messages through the caller's connection."""
        for entry in entries:
            if store(self.connection, entry, now_ms) is not None:
                self.queues.add(entry.queue)
        self.sent += sent


class Joining:
    """Which transaction each thread has joined."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._schema_stands = False
        self._thread = threading.local()

    @property
    def current(self) -> Joined | None:
        """The transaction that the calling thread has joined."""
        joined: Joined | None = getattr(self._thread, "joined", None)
        return joined

    @contextmanager
    def joining(self, connection: Cursorable) -> Iterator[Joined]:
        """Join for the length of a block, and ring afterwards for what was sent in it."""
        if not getattr(connection, "in_transaction", True):
            raise NotJoined("begin a transaction (BEGIN IMMEDIATE) before joining it")
        if not self._schema_stands:
            ensure_schema(connection)
        outer = self.current
        joined = self._thread.joined = Joined(connection)
        try:
            yield joined
        finally:
            self._thread.joined = outer
        self._schema_stands = True
        for queue in joined.queues:
            with contextlib.suppress(OSError):  # not heard: the others look at poll_interval_s
                ring(self._places.bells, queue)

    def forget(self) -> None:
        """Drop the parent's joined transaction in a forked child."""
        self._thread = threading.local()
