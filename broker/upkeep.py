"""The part of the broker that operators use: look, pause, cancel, move, send again, purge.

None of it needs a declared queue, so a broker without actors (the command line's) can do all of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial

from dramatiq.common import q_name

from broker import dead_letters, looking, report
from broker.clerk import Clerk, now_ms
from broker.dead_letters import DeadLetter
from broker.looking import HeldMessage, WaitingMessage
from broker.messages import cancel, move
from broker.orders import Batch
from broker.pausing import pause, resume
from broker.places import Places
from broker.report import QueueStats, WorkerProcess

__all__ = ["Upkeep"]


class Upkeep(ABC):
    """What can be seen of the queues and done to them from outside."""

    queues: set[str]
    _places: Places

    @abstractmethod
    def _clerk(self) -> Clerk:
        """Return the clerk of this process, engaged if need be."""

    def queue_stats(self) -> list[QueueStats]:
        """Return how full every queue is."""
        return report.queue_stats(self._clerk().database, self.queues, now_ms())

    def consumers(self) -> list[WorkerProcess]:
        """Return the living processes that consume, with their queues. A dead one disappears at once."""
        return report.consumers(self._clerk().database, self._places.leases)

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """Return how many messages of a queue are ready, delayed and dead."""
        return report.message_counts(self._clerk().database, q_name(queue_name))

    def dead_letters(
        self, queue: str | None = None, limit: int = 100, *, before_id: int | None = None
    ) -> list[DeadLetter]:
        """Return dead letters, newest first; `before_id` asks for the page after that id."""
        return dead_letters.dead_letters(self._clerk().database, queue, limit, before_id)

    def retry_dead_letter(self, letter_id: int) -> bool:
        """Send a dead letter again, with a new allowance of retries. False: there is none with this id."""

        def work(batch: Batch) -> bool:
            queue = dead_letters.retry(batch.connection, letter_id, batch.now_ms)
            if queue is not None:
                batch.readied.add(queue)
            return queue is not None

        return self._clerk().call(work)

    def purge_dead_letters(self, older_than_s: float = 0.0) -> int:
        """Delete dead letters that died longer ago than that; returns how many."""
        return self._clerk().call(
            lambda batch: dead_letters.purge(batch.connection, batch.now_ms - int(older_than_s * 1000) + 1)
        )

    def peek(self, queue_name: str, limit: int = 20) -> list[WaitingMessage]:
        """Return what waits in a queue, in the order in which it will be worked on; the delayed ones come last."""
        return looking.waiting_messages(self._clerk().database, q_name(queue_name), limit)

    def held_messages(self) -> list[HeldMessage]:
        """Return who holds what since when, in all processes, the longest held first."""
        return looking.held_messages(self._clerk().database)

    def move(self, queue_name: str, target_name: str) -> int:
        """Move all that waits or is delayed to another queue, where it keeps its age and order; returns how many.

        The other queue needs a worker that knows the actors. What is sent while this runs may be moved or not.

        Raises:
            ValueError: both are the same queue.
        """
        queue, target = q_name(queue_name), q_name(target_name)
        if queue == target:
            raise ValueError(f"queue {queue!r} cannot be moved to itself")

        def work(batch: Batch) -> int:
            batch.readied.add(target)
            batch.delayed.add(target)
            return move(batch.connection, queue, target)

        total = 0
        while moved := self._clerk().call(work):
            total += moved
        return total

    def pause_queue(self, queue_name: str) -> None:
        """Have no process claim from a queue until it is resumed; may be repeated.

        Sending and delays go on. What a thread has in hand is worked off.
        """
        queue = q_name(queue_name)
        self._clerk().call(lambda batch: pause(batch.connection, queue, batch.now_ms))

    def resume_queue(self, queue_name: str) -> bool:
        """Have a paused queue go on, at once and in all processes. False: it was not paused."""
        queue = q_name(queue_name)

        def work(batch: Batch) -> bool:
            batch.readied.add(queue)
            return resume(batch.connection, queue)

        return self._clerk().call(work)

    def cancel(self, message_id: str) -> bool:
        """Drop a message that waits or is delayed, also between its retries. It leaves no dead letter.

        Returns:
            False when nothing of this id waits: it is running (and runs on: no actor is torn out of its work), has
            ended, or was never sent.
        """
        # Seldom more than once: between looking and acting a delay may fall due (a new row) or a worker may take it.
        while rows := report.waiting_rows(self._clerk().database, message_id):
            if self._clerk().call(partial(_cancel_rows, rows, message_id)):
                return True
        return False


def _cancel_rows(rows: list[int], message_id: str, batch: Batch) -> bool:
    return sum(cancel(batch.connection, row_id, message_id) for row_id in rows) > 0
