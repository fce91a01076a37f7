"""The parts of the engine, put together for one broker in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.maintenance import Maintenance
from broker.engine.notifications import CANCELLED, WORKERS, Poller
from broker.engine.prefetch import Prefetcher, QueueBuffer
from broker.engine.processes import Registry
from broker.engine.worker_threads import WorkerThreads
from broker.engine.writer import IDLE_S, Writer, WriterHooks
from broker.errors import translated
from broker.storage.connection import Writable, WriterLock
from broker.storage.database import now_ms
from broker.storage.inspection import TaskCounters, WorkerProcess
from broker.storage.queue import Claim

__all__ = ["Engine", "EngineParts", "Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a broker that concern its engine."""

    poll_interval_s: float  # safety net: how often the tables are read without a notification
    lease_s: float  # how long a frozen process keeps its messages
    max_deliveries: int  # how often a message is delivered that is never settled
    dead_letters_kept_s: float | None = None  # None: until they are purged
    redact: Callable[[str], str] = lambda text: text  # applied to the errors of dead letters


@dataclass(frozen=True, slots=True)
class EngineParts:
    """The parts of an engine that depend on the kind of the database."""

    database: Writable
    lock: WriterLock
    poller: Poller
    registry: Registry
    relayed: bool = False  # a relay wakes the process for its queues, and no notification or timer does


class Engine(WriterHooks):
    """Writes, claims, listens, and keeps the lease. Belongs to the process that made it."""

    def __init__(self, parts: EngineParts, threads: WorkerThreads, options: Options) -> None:
        self._max_deliveries = options.max_deliveries
        self.redact = options.redact
        self.database = parts.database
        self._poller = parts.poller
        self.registry = parts.registry
        self.prefetcher = Prefetcher(self.database, self.registry, threads, self._poller, relayed=parts.relayed)
        self.maintenance = Maintenance(
            self.database,
            self.registry,
            self.prefetcher,
            self._poller,
            self._commit,
            interval_s=options.poll_interval_s,
            dead_letters_kept_s=options.dead_letters_kept_s,
        )
        self._counters = TaskCounters()
        self.writer = Writer(self.database, parts.lock, self, self._poller)

    def open_buffer(self, queue: str, prefetch: int) -> QueueBuffer:
        """Begin to consume a queue in this process."""
        buffer = self.prefetcher.open(queue, prefetch)

        def register(batch: WriteBatch) -> None:
            self.prefetcher.register(batch)
            batch.notify(WORKERS)

        self.writer.call(register)
        return buffer

    def close_buffer(self, buffer: QueueBuffer) -> None:
        """Claim nothing more for a queue and return, in order, the messages that no consumer has fetched."""
        buffer.closed = True
        self._release([buffer])

    def release_buffers(self) -> None:
        """Return, in order, the messages of all queues that no consumer has fetched."""
        self._release(self.prefetcher.open_buffers())

    def consumers(self) -> list[WorkerProcess]:
        """Return the living processes that consume."""
        return self.registry.consumers(self.database)

    def notify(self, queues: set[str]) -> None:
        """Wake the processes that consume these queues, this one included."""
        self.prefetcher.recheck(queues)
        self._poller.notify(queues)
        self.writer.wake()

    def redeliver_soon(self, claim: Claim) -> None:
        """Return a message that its thread dropped unsettled. Called by the garbage collector, so it only submits."""
        self.writer.submit_nowait(WriteRequest(partial(self.redeliver, claim), persistent=True))

    def redeliver(self, claim: Claim, batch: WriteBatch) -> bool:
        """Return a message whose processing was cut off; False when the claim had been lost before."""
        return batch.redeliver(claim, self._max_deliveries)

    def close(self) -> None:
        """Commit what was submitted, return the claimed messages, end the thread, close the file."""
        self.writer.close()

    def _release(self, buffers: list[QueueBuffer]) -> None:
        leftovers: list[Claim] = []  # drained once, though the work may be repeated

        def work(batch: WriteBatch) -> None:
            # On the writer's thread, so that no claim is on its way to a buffer any more.
            for buffer in buffers:
                leftovers.extend(buffer.drain())
            batch.release(leftovers)

        self.writer.call(work)

    # Hooks of the writer.

    def after_begin(self) -> None:
        """Extend the lease: the write lock may have been held by others for long."""
        if self.registry.id is not None:
            self.registry.heartbeat(holding=bool(self.prefetcher.claims))

    def before_commit(self, batch: WriteBatch) -> None:
        """Claim messages for idle threads in the same transaction."""
        self.prefetcher.claim(batch)

    def after_commit(self, batch: WriteBatch) -> None:
        """Hand out the claims, count, and notify other processes unless this one has claimed all there was."""
        if not self.prefetcher.buffers:
            batch.channels |= batch.readied | batch.delayed
            return
        self.prefetcher.book(batch)
        self._counters.count(batch.done, batch.died)
        if not batch.claims:
            self.prefetcher.recheck(batch.readied)
            self.writer.wake()
        if CANCELLED in batch.channels:
            self.maintenance.run_soon()
            self.writer.wake()  # before the acknowledgement that lets a cancelled message begin
        batch.channels |= self.prefetcher.unclaimed(batch)

    def rolled_back(self) -> None:
        """Have the tables read again: what was claimed is ready again."""
        for buffer in self.prefetcher.open_buffers():
            buffer.must_read = True

    def more_expected(self, requests: int) -> bool:
        """Return whether acknowledgements will arrive in a moment, whose threads a backlog waits for."""
        return self.prefetcher.expects_settling(requests)

    def idle(self) -> float:
        """Claim what was notified, promote what is due, run the maintenance."""
        if self._counters.fresh:
            self._counters.fresh = False
            self.registry.publish(self._counters.text())
        if self.prefetcher.can_claim() or self.prefetcher.read(now_ms()):
            self._commit_claims()
            due_in_s = 0.0
        elif self.prefetcher.is_overdue(now_ms()):
            self._commit_promotion()
            due_in_s = 0.0
        else:
            due_in_s = self._due_in_s()
        if self.maintenance.run():
            due_in_s = 0.0
        return due_in_s

    def closing(self) -> None:
        """Return the claimed messages and delete the row of this process."""
        try:
            if self.registry.id is not None:
                self._commit(self.registry.deregister)
        finally:
            self.registry.release_lease()

    def _commit(self, work: Callable[[WriteBatch], None]) -> None:
        self.writer.commit(work)

    def _commit_claims(self) -> None:
        try:
            self.writer.commit()
        except Exception as error:  # noqa: BLE001  # every error is raised in the waiting consumers
            self.prefetcher.fail(translated(error))

    def _commit_promotion(self) -> None:
        try:
            self.writer.commit(self.prefetcher.promote_due)
        except Exception as error:  # noqa: BLE001  # as above
            self.prefetcher.fail(translated(error))

    def _due_in_s(self) -> float:
        """Return in how many seconds something falls due. A process that only sends has no timers at all."""
        if self.registry.id is None:
            return IDLE_S
        return max(0.0, min(self.maintenance.due_in_s() + self.prefetcher.due_in_s(now_ms())))
