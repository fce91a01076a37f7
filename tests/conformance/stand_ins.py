"""This project's broker under the names, and with the arguments, of Dramatiq's brokers.

Features that only one of them has (such as the stub broker's queues and dead letters as Python objects) are read from
the tables or recorded when they occur.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from dramatiq import Message, Middleware
from dramatiq.broker import Consumer, MessageProxy

from broker.engine import message as broker_message

from .databases import REDIS, TestedBroker, shared_database
from .import_hook import load_relay

__all__ = ["RabbitmqBroker", "RedisBroker", "StubBroker"]

if REDIS:
    load_relay()


class _Peer(TestedBroker):  # type: ignore[misc]  # of type Any
    """A broker that by default uses one database for all processes of the run, as they would share a server."""

    connection = None  # the suite reads it to check for a server

    def __init__(
        self,
        place: str | None = None,
        *,
        middleware: list[Middleware] | None = None,
        **_servers: Any,  # Any: hosts and credentials of other servers
    ) -> None:
        super().__init__(place or shared_database(), middleware=middleware)


class RedisBroker(_Peer):
    """Replaces the Redis broker."""


class RabbitmqBroker(_Peer):
    """Replaces the RabbitMQ broker."""

    def join(self, queue_name: str, *, timeout: int | None = None, **_guesses: Any) -> None:
        """Wait until a queue is empty; RabbitMQ's further arguments are ignored."""
        super().join(queue_name, timeout=timeout)


class StubBroker(_Peer):
    """Replaces the stub broker, which keeps its messages in memory."""

    def __init__(
        self, place: str | None = None, *, middleware: list[Middleware] | None = None, fail_fast_default: bool = True
    ) -> None:
        self.fail_fast_default = fail_fast_default
        self.dead_letters_by_queue: defaultdict[str, list[MessageProxy]] = defaultdict(list)
        super().__init__(place, middleware=middleware)
        self.queues = _Queues(self)

    @property
    def dead_letters(self) -> list[MessageProxy]:
        """The messages rejected in this process."""
        return [letter for letters in self.dead_letters_by_queue.values() for letter in letters]

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Record rejected messages, which the suite expects as objects with their exceptions."""
        if signal == "nack":
            self.dead_letters_by_queue[args[0].queue_name].append(args[0])
        super().emit_before(signal, *args, **kwargs)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> Consumer:
        """Return a consumer with the short default timeout that the suite expects."""
        consumer: Consumer = super().consume(queue_name, prefetch, timeout)
        return consumer

    def flush_all(self) -> None:
        """Drop all messages and the record of rejected ones."""
        super().flush_all()
        for letters in self.dead_letters_by_queue.values():
            letters.clear()

    def join(self, queue_name: str, *, timeout: int | None = None, fail_fast: bool | None = None) -> None:
        """Wait until a queue is empty, then raise the exception of a rejected message."""
        super().join(queue_name, timeout=timeout)
        if self.fail_fast_default if fail_fast is None else fail_fast:
            for letter in self.dead_letters_by_queue[queue_name]:
                raise letter._exception or RuntimeError("rejected without an error")  # not available elsewhere


class _StubMessageProxy(broker_message.SqliteMessage):
    """A message that keeps its exception for `join`. The suite patches the class by this name."""

    def clear_exception(self) -> None:
        """Keep the exception."""


broker_message.SqliteMessage = _StubMessageProxy  # type: ignore[misc]  # the class of messages that consumers return


class _Queues(set[str]):
    """Names of queues, and access to the queues themselves, as the stub broker offers."""

    def __init__(self, broker: StubBroker) -> None:
        super().__init__()
        self._broker = broker

    def __getitem__(self, name: str) -> _Queue:
        return _Queue(self._broker, name)


class _Queue:
    def __init__(self, broker: StubBroker, name: str) -> None:
        self._broker = broker
        self._name = name

    def put(self, data: bytes) -> None:
        self._broker.enqueue(Message.decode(data))

    def get(self, timeout: float) -> bytes:
        consumer = self._broker.consume(self._name, timeout=int(timeout * 1000))
        message = next(consumer)
        assert message is not None
        consumer.ack(message)
        data: bytes = message.encode()
        return data

    def qsize(self) -> int:
        ready: int = self._broker.get_queue_message_counts(self._name)[0]
        return ready

    @property
    def unfinished_tasks(self) -> int:
        return sum(s.ready + s.delayed + s.leased for s in self._broker.admin.queue_stats() if s.queue == self._name)
