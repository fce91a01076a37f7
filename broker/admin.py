"""Administration of the queues: list, pause, cancel, retry, purge.

None of it needs a declared queue, so a broker without actors (the command line's) can do all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dramatiq.common import q_name

from broker.engine.batch import WriteBatch
from broker.engine.engine import Engine
from broker.engine.notifications import CANCELLED
from broker.storage import dead_letters, inspection
from broker.storage.database import now_ms
from broker.storage.dead_letters import DeadLetter
from broker.storage.inspection import HeldMessage, QueueStats, WaitingMessage, WorkerProcess
from broker.storage.queue import cancel, pause, resume

__all__ = ["QueueAdmin"]


class QueueAdmin:
    """Administration of the queues of one database."""

    def __init__(self, engine: Callable[[], Engine], declared: Callable[[], set[str]]) -> None:
        """Administer through the engine that `engine` returns; `declared` returns the broker's declared queues."""
        self._declared = declared
        self._engine = engine

    def queue_stats(self) -> list[QueueStats]:
        """Return how full every queue is."""
        return inspection.queue_stats(self._engine().database, self._declared(), now_ms())

    def consumers(self) -> list[WorkerProcess]:
        """Return the living processes that consume, with their queues. A dead one disappears at once."""
        return self._engine().consumers()

    def dead_letters(
        self, queue: str | None = None, limit: int = 100, *, before_id: int | None = None
    ) -> list[DeadLetter]:
        """Return dead letters, newest first; `before_id` asks for the page after that id."""
        return dead_letters.dead_letters(self._engine().database, queue, limit, before_id)

    def retry_dead_letter(self, letter_id: int) -> bool:
        """Send a dead letter again, with a new allowance of retries. False: there is none with this id."""

        def work(batch: WriteBatch) -> bool:
            queue = dead_letters.retry(batch.connection, letter_id, batch.now_ms)
            if queue is not None:
                batch.readied.add(queue)
            return queue is not None

        return self._engine().writer.call(work)

    def retry_dead_letters(
        self, *, queue: str | None = None, actor: str | None = None, error: str | None = None
    ) -> int:
        """Send dead letters again, each with a new allowance of retries; returns how many.

        Args:
            queue, actor: only those of this queue or actor.
            error: only those whose error line contains this text.
        """

        def work(batch: WriteBatch) -> int:
            queues = dead_letters.retry_some(batch.connection, newest, queue, actor, error, batch.now_ms)
            batch.readied.update(queues)
            return len(queues)

        # Those that die again meanwhile are left alone, or this might never end.
        newest = dead_letters.newest(self._engine().database)
        total = 0
        while retried := self._engine().writer.call(work):
            total += retried
        return total

    def delete_dead_letter(self, letter_id: int) -> bool:
        """Delete a dead letter; False if there is none with this id."""
        return self._engine().writer.call(lambda batch: dead_letters.delete(batch.connection, letter_id))

    def purge_dead_letters(self, older_than_s: float = 0.0) -> int:
        """Delete dead letters that died longer ago than that; returns how many."""
        return self._engine().writer.call(
            lambda batch: dead_letters.purge(batch.connection, batch.now_ms - int(older_than_s * 1000) + 1)
        )

    def peek(self, queue_name: str, limit: int = 20) -> list[WaitingMessage]:
        """Return what waits in a queue, in the order in which it will be worked on; the delayed ones come last."""
        return inspection.waiting_messages(self._engine().database, q_name(queue_name), limit)

    def held_messages(self) -> list[HeldMessage]:
        """Return the claimed messages of all processes, the oldest claim first."""
        return inspection.held_messages(self._engine().database)

    def pause_queue(self, queue_name: str) -> None:
        """Pause a queue: no process claims from it until it is resumed. Idempotent.

        Messages can still be sent and become due. Threads finish the messages that they are processing.
        """
        queue = q_name(queue_name)
        self._engine().writer.call(lambda batch: pause(batch.connection, queue, batch.now_ms))

    def resume_queue(self, queue_name: str) -> bool:
        """Resume a paused queue, at once and in all processes. False: it was not paused."""
        queue = q_name(queue_name)

        def work(batch: WriteBatch) -> bool:
            batch.readied.add(queue)
            return resume(batch.connection, queue)

        return self._engine().writer.call(work)

    def cancel(self, *message_ids: str, abort: bool = False) -> int:
        """Delete messages that wait, are blocked or delayed, also between their retries. They leave no dead letters.

        Args:
            message_ids: of one message or of several, which are cancelled in one commit.
            abort: if a message is running, in any process, raise `Cancelled` in its actor; it does not run again. An
                actor that blocks outside of Python (a system call, a library) ends that call first, as with time
                limits.

        Returns:
            How many were cancelled; not those that have ended, were never sent, or run without `abort`.
        """
        cancelled: set[str] = set()
        # Usually once: between reading and writing, a delayed message may get a new row, or a worker may claim one.
        while rows := inspection.rows_of(self._engine().database, message_ids, leased=abort):
            cancelled |= self._engine().writer.call(partial(_cancel_rows, rows, abort=abort))
        return len(cancelled)


def _cancel_rows(rows: list[tuple[int, str]], batch: WriteBatch, *, abort: bool) -> set[str]:
    cancelled: set[str] = set()
    for row_id, message_id in rows:
        outcome = cancel(batch.connection, row_id, message_id, abort=abort)
        batch.readied |= outcome.readied
        if outcome.marked:
            batch.notify(CANCELLED)
        if outcome.marked or outcome.queue is not None:
            cancelled.add(message_id)
    return cancelled
