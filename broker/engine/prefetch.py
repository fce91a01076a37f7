"""Who works in this process: desks (one a queue), the messages they hold, and how many more there is room for.

Messages are claimed for idle threads only, so that an hour-long job never waits behind a busy thread while another
process stands idle. No SQL and no files in this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from weakref import WeakSet

from dramatiq import Worker

from broker.engine.batch import Batch
from broker.engine.worker_threads import Running
from broker.storage.queue import Claim

__all__ = ["Desk", "Floor", "Staff"]


class Staff:
    """The dramatiq workers of this process, as far as the broker has seen them start and stop."""

    def __init__(self) -> None:
        self._working: list[Worker] = []
        self._leaving: list[Worker] = []
        self.running = Running()

    def hire(self, worker: Worker) -> None:
        """Count the worker's threads in."""
        self._working.append(worker)

    def dismiss(self, worker: Worker) -> None:
        """Claim nothing more for it: it is stopping."""
        if worker in self._working:
            self._working.remove(worker)
            self._leaving.append(worker)

    def forget(self, worker: Worker) -> None:
        """Drop a worker that has stopped."""
        if worker in self._leaving:
            self._leaving.remove(worker)

    def threads(self) -> int | None:
        """Return how many threads can work on a message; None when no worker was started (consumers used by hand)."""
        if not self._working and not self._leaving:
            return None
        return sum(_living_threads(worker) for worker in self._working)

    def is_default(self, prefetch: int) -> bool:
        """Tell whether nobody has set this prefetch, so that it is dramatiq's own."""
        return any(prefetch == worker.worker_threads * 2 for worker in self._working)


def _living_threads(worker: Worker) -> int:
    # An exception raised into a worker thread at the wrong moment ends it for good: such a thread is no room.
    dead = sum(thread.ident is not None and not thread.is_alive() for thread in worker.workers)
    return worker.worker_threads - dead


@dataclass(slots=True, eq=False)
class Desk:
    """Where consumers of one queue pick up messages. It outlives the consumer objects, which dramatiq replaces."""

    queue: str
    prefetch: int
    inbox: SimpleQueue[Claim | BaseException] = field(default_factory=SimpleQueue)
    consumers: WeakSet[object] = field(default_factory=WeakSet)  # several, if the process has several workers
    waiting: set[int] = field(default_factory=set)  # consumers that stand here with empty hands
    owed: bool = False  # there was something to claim while nobody stood here: say so when you come
    unsure: bool = True  # the tables must be looked at
    ready: bool = False  # there probably are messages to claim
    eta_ms: int | None = None  # when the next delayed message falls due
    held: int = 0  # claims of this queue that have not ended
    closed: bool = False

    def wants(self) -> bool:
        """Tell whether a consumer stands here and has something to expect."""
        if not self.ready or self.closed:
            return False
        if not self.waiting:
            self.owed = True  # first the note, then the second look: a consumer does it the other way round
        return bool(self.waiting)

    def leftovers(self) -> list[Claim]:
        """Take out what no consumer has picked up, in order."""
        claims: list[Claim] = []
        while True:
            try:
                item = self.inbox.get_nowait()
            except Empty:
                return claims
            if isinstance(item, Claim):
                claims.append(item)


class Floor:
    """All desks of a process. Only the clerk changes what is held."""

    def __init__(self, staff: Staff) -> None:
        self.desks: dict[str, Desk] = {}
        self.held: dict[tuple[int, int], Claim] = {}  # by row id and number of the claim
        self._staff = staff
        self._turn = 0

    def desk(self, queue: str, prefetch: int) -> Desk:
        """Open the desk of a queue, or open it again."""
        desk = self.desks.get(queue)
        if desk is None:
            desk = self.desks[queue] = Desk(queue, prefetch)
        desk.prefetch = prefetch
        desk.closed = False
        desk.unsure = True
        return desk

    def open_queues(self) -> list[str]:
        """Return the queues consumed here."""
        return sorted(desk.queue for desk in self.open_desks())

    def open_desks(self) -> list[Desk]:
        """Return the desks of these queues."""
        return [desk for desk in list(self.desks.values()) if not desk.closed]

    def has_backlog(self) -> bool:
        """Tell whether more messages are ready than we have threads for, as far as known."""
        return any(desk.ready for desk in self.desks.values())

    def hungry(self) -> bool:
        """Tell whether something can be claimed for an idle thread."""
        return any(wanted > 0 for _, wanted in self.asking([], []))

    def asking(self, settled: list[Claim], claimed: list[Claim]) -> Iterator[tuple[Desk, int]]:
        """Yield the desks that want messages with how many at most, each time beginning with another desk.

        Args:
            settled: claims that end in the open transaction, and so make room.
            claimed: claims that begin in it; the caller adds to them while it iterates.
        """
        desks = list(self.desks.values())
        self._turn += 1
        for offset in range(len(desks)):
            desk = desks[(self._turn + offset) % len(desks)]
            free = desk.prefetch - desk.held + sum(claim.queue == desk.queue for claim in settled)
            idle = self._idle_threads(desk.prefetch)
            if idle is not None:
                free = min(free, idle + len(settled) - len(claimed))
            if free > 0 and desk.wants():
                yield desk, free

    def _idle_threads(self, prefetch: int) -> int | None:
        # A prefetch that somebody has set (dramatiq_queue_prefetch) is heeded to the letter; dramatiq's default of two
        # messages a thread is not.
        threads = self._staff.threads()
        if threads and not self._staff.is_default(prefetch):
            return None
        return None if threads is None else threads - len(self.held)

    def expect(self, queues: set[str]) -> None:
        """Note that these queues have ready messages."""
        for queue in queues & self.desks.keys():
            self.desks[queue].ready = True

    def take_in(self, batch: Batch) -> None:
        """Book what a committed batch settled and claimed, and hand the claims out."""
        for claim in batch.settled:
            if self.held.pop((claim.row_id, claim.number), None) is not None:
                self.desks[claim.queue].held -= 1
        for claim in batch.claimed:
            self.held[(claim.row_id, claim.number)] = claim
            self.desks[claim.queue].held += 1
            self.desks[claim.queue].inbox.put(claim)

    def interrupt(self, cancelled: list[tuple[int, int]]) -> None:
        """Tear messages of ours, given by row id and number of the claim, out of their actors."""
        self._staff.running.interrupt(cancelled, self.held)

    def disappoint(self, error: BaseException) -> None:
        """Tell every waiting consumer that claiming failed; dramatiq starts it anew after a pause."""
        for desk in list(self.desks.values()):
            desk.unsure, desk.ready = True, False
            for _ in list(desk.waiting):
                desk.inbox.put(error)
