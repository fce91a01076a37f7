"""The broker as the application uses it, whatever engine keeps its messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, Protocol

import dramatiq

from broker.storage.dead_letters import DeadLetter
from broker.storage.inspection import HeldMessage, QueueStats, WaitingMessage, WorkerProcess
from broker.storage.write_lock import WriteLock

__all__ = ["MessageBroker", "QueueAdministration"]


class QueueAdministration(Protocol):
    """The verbs of an operator; none of them needs a declared queue."""

    def queue_stats(self) -> list[QueueStats]:
        """Return how full every queue is."""

    def consumers(self) -> list[WorkerProcess]:
        """Return the living processes that consume, with their queues."""

    def held_messages(self) -> list[HeldMessage]:
        """Return the claimed messages of all processes, the oldest claim first."""

    def peek(self, queue_name: str, limit: int = 20) -> list[WaitingMessage]:
        """Return what waits in a queue, in the order in which it will be worked on; the delayed ones come last."""

    def dead_letters(
        self, queue: str | None = None, limit: int = 100, *, before_id: int | None = None
    ) -> list[DeadLetter]:
        """Return dead letters, newest first; `before_id` asks for the page after that id."""

    def retry_dead_letter(self, letter_id: int) -> bool:
        """Send a dead letter again, with a new allowance of retries; False if there is none with this id."""

    def delete_dead_letter(self, letter_id: int) -> bool:
        """Delete a dead letter; False if there is none with this id."""

    def purge_dead_letters(self, older_than_s: float = 0.0) -> int:
        """Delete dead letters that died longer ago than that; return how many."""

    def cancel(self, *message_ids: str, abort: bool = False) -> int:
        """Delete messages that wait; with `abort`, also interrupt those that run. Return how many."""


class MessageBroker(dramatiq.Broker, ABC):
    """A broker of Dramatiq with administration, whose sends join transactions of the store.

    Attributes:
        admin: administration of its queues.
        write_lock: of all writers to the file of messages; None for an engine that has concurrent writers.
    """

    admin: QueueAdministration
    write_lock: WriteLock | None

    @abstractmethod
    def joining(self, connection: Any) -> AbstractContextManager[None]:  # Any: a DBAPI connection has no common type
        """Make the sends of this thread part of a connection's open transaction, in a block."""

    def check_lease(self) -> None:  # an engine whose processes share a machine has nothing to check
        """Check in an actor that others cannot have its message yet. Cheap, and never blocks for long.

        Raises:
            LeaseLost: this process was frozen or cut off for so long that they may.
        """

    @abstractmethod
    def dead_thread(self) -> str | None:
        """Return the name of a thread of the broker that has ended by an error; None if all live."""
