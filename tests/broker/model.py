"""A model of the broker: the effect of every operation on a few lists, without files, threads and processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

__all__ = ["MAX_DELIVERIES", "Buffer", "Dead", "Item", "Model"]

MAX_DELIVERIES = 3


@dataclass(slots=True, eq=False)
class Item:
    """A message in the tables."""

    name: str
    queue: str
    broker_priority: int = 0
    actor_priority: int = 0
    eta_ms: int | None = None  # while it is delayed
    unique_key: str | None = None
    unique_until_ms: int = 0
    attempts: int = 0  # of this message, also by its retries, which are new rows
    deliveries: int = 0  # of this row
    rank: int = 0  # its turn, among equal priorities
    holder: int | None = None  # number of the process that holds it

    @property
    def turn(self) -> tuple[int, int, int]:
        return (-self.broker_priority, self.actor_priority, self.rank)


@dataclass(frozen=True, slots=True)
class Dead:
    item: Item
    died_ms: int


@dataclass(slots=True)
class Buffer:
    """A queue as one process consumes it."""

    prefetch: int
    inbox: list[Item] = field(default_factory=list)  # claimed, not picked up
    held: int = 0  # claimed and not settled here, whether they are still ours or not
    open: bool = True


@dataclass(slots=True)
class Model:
    now_ms: int
    items: list[Item] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    unique: dict[str, tuple[str, int]] = field(default_factory=dict)  # key → name, until when
    paused: set[str] = field(default_factory=set)
    _rank: int = 0

    # Looking.

    def ready(self, queue: str) -> list[Item]:
        found = [item for item in self.items if item.queue == queue and item.holder is None and item.eta_ms is None]
        return sorted(found, key=lambda item: item.turn)

    def delayed(self, queue: str) -> list[Item]:
        found = [item for item in self.items if item.queue == queue and item.eta_ms is not None]
        return sorted(found, key=lambda item: (item.eta_ms, item.rank))

    def etas(self) -> list[int]:
        return [item.eta_ms for item in self.items if item.eta_ms is not None]

    def held_by(self, process: int) -> list[Item]:
        return [item for item in self.items if item.holder == process]

    # Sending.

    def send(self, item: Item) -> None:
        """Store a message, unless it is a duplicate; a delay that is over is none."""
        if item.unique_key is not None and not self._takes(item):
            return
        if item.eta_ms is not None and item.eta_ms <= self.now_ms:
            item.eta_ms = None
        self._queue_up(item)

    def _takes(self, item: Item) -> bool:
        assert item.unique_key is not None
        owner, until_ms = self.unique.get(item.unique_key, ("", 0))
        if until_ms <= self.now_ms:
            self.unique[item.unique_key] = (item.name, item.unique_until_ms)
            return True
        return owner == item.name

    def _queue_up(self, item: Item) -> None:
        self._rank += 1
        item.rank = self._rank
        if item not in self.items:
            self.items.append(item)

    def promote(self, queue: str) -> None:
        """Put what has fallen due at the tail of the queue."""
        for item in self.delayed(queue):
            assert item.eta_ms is not None
            if item.eta_ms <= self.now_ms:
                item.eta_ms = None
                self._queue_up(item)

    # Working.

    def claim(self, queue: str, buffer: Buffer, process: int) -> None:
        """Claim as much as the buffer may hold."""
        if queue in self.paused:
            return
        for item in self.ready(queue)[: max(0, buffer.prefetch - buffer.held)]:
            item.holder = process
            item.attempts += 1
            item.deliveries += 1
            buffer.held += 1
            buffer.inbox.append(item)

    def settle(self, item: Item, end: str) -> None:
        if end == "requeue":
            self.give_back([item])
        elif end == "nack":
            self.dead_letter(item)
        else:
            self.remove(item)

    def remove(self, item: Item) -> None:
        self.items.remove(item)

    def dead_letter(self, item: Item) -> None:
        self.items.remove(item)
        item.holder = None
        self.dead.append(Dead(item, self.now_ms))

    def give_back(self, items: Iterable[Item]) -> None:
        """Return what nobody has begun: it does not count."""
        for item in items:
            item.holder = None
            item.attempts -= 1
            item.deliveries -= 1

    def lose(self, process: int, *, limited: bool) -> None:
        """Return what a process held that has ended: it counts, and too often is the end."""
        for item in self.held_by(process):
            item.holder = None
            if limited and item.deliveries >= MAX_DELIVERIES:
                self.dead_letter(item)

    # Operators.

    def cancel(self, name: str) -> bool:
        waiting = [item for item in self.items if item.name == name and item.holder is None]
        for item in waiting:
            self.remove(item)
            self._free({name})
        return bool(waiting)

    def flush(self, queue: str) -> None:
        waiting = self.ready(queue) + self.delayed(queue)
        self._free({item.name for item in waiting})
        for item in waiting:
            self.remove(item)
        self.dead = [letter for letter in self.dead if letter.item.queue != queue]

    def retry(self, letter: Dead) -> None:
        """Send it as if for the first time, without its unique key."""
        self.dead.remove(letter)
        self._queue_up(replace(letter.item, eta_ms=None, unique_key=None, attempts=0, deliveries=0, holder=None))

    def purge(self) -> None:
        self.dead = [letter for letter in self.dead if letter.died_ms > self.now_ms]

    def _free(self, names: set[str]) -> None:
        self.unique = {key: taken for key, taken in self.unique.items() if taken[0] not in names}
