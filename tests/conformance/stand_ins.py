"""Our broker under the names of dramatiq's own: with their arguments, and with what the suite asks of each of them.

Nothing here does a broker's work; what only one peer has (a stub's queues and dead letters as Python objects) is
looked up in the tables or noted on the way.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from dramatiq import Message, Middleware
from dramatiq.broker import Consumer, MessageProxy

from broker import SqliteBroker
from broker.engine import message as broker_message

__all__ = ["RabbitmqBroker", "RedisBroker", "StubBroker"]


class _Peer(SqliteBroker):
    """Without a path: the file that all processes of the run share, as they would share a server."""

    connection = None  # the suite asks for it to learn whether there is a server

    def __init__(
        self,
        path: Path | None = None,
        *,
        middleware: list[Middleware] | None = None,
        **_servers: Any,  # Any: hosts, credentials and the like, which mean nothing to a file
    ) -> None:
        super().__init__(path or Path(os.environ["CONFORMANCE_FILES"], "shared.sqlite3"), middleware=middleware)


class RedisBroker(_Peer):
    """What the suite takes for Redis."""


class RabbitmqBroker(_Peer):
    """What the suite takes for RabbitMQ."""

    def join(self, queue_name: str, *, timeout: int | None = None, **_guesses: Any) -> None:
        """Wait until a queue is empty; how often it must look empty, as RabbitMQ's broker is told, is no question."""
        super().join(queue_name, timeout=timeout)


class StubBroker(_Peer):
    """What the suite takes for the broker in memory."""

    def __init__(
        self, path: Path | None = None, *, middleware: list[Middleware] | None = None, fail_fast_default: bool = True
    ) -> None:
        self.fail_fast_default = fail_fast_default
        self.dead_letters_by_queue: defaultdict[str, list[MessageProxy]] = defaultdict(list)
        super().__init__(path, middleware=middleware)
        self.queues = _Queues(self)

    @property
    def dead_letters(self) -> list[MessageProxy]:
        """The messages rejected in this process."""
        return [letter for letters in self.dead_letters_by_queue.values() for letter in letters]

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Note what is rejected, which the suite wants as objects, with their exceptions."""
        if signal == "nack":
            self.dead_letters_by_queue[args[0].queue_name].append(args[0])
        super().emit_before(signal, *args, **kwargs)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> Consumer:
        """Return a consumer that by default waits as shortly as the suite expects."""
        return super().consume(queue_name, prefetch, timeout)

    def flush_all(self) -> None:
        """Drop all messages, and the notes of what was rejected."""
        super().flush_all()
        for letters in self.dead_letters_by_queue.values():
            letters.clear()

    def join(self, queue_name: str, *, timeout: int | None = None, fail_fast: bool | None = None) -> None:
        """Wait until a queue is empty, then raise what a rejected message has failed with."""
        super().join(queue_name, timeout=timeout)
        if self.fail_fast_default if fail_fast is None else fail_fast:
            for letter in self.dead_letters_by_queue[queue_name]:
                raise letter._exception or RuntimeError("rejected without an error")  # kept only there


class _StubMessageProxy(broker_message.SqliteMessage):
    """A message that keeps its exception, because `join` is to raise it. The suite patches it by this name."""

    def clear_exception(self) -> None:
        """Keep it."""


broker_message.SqliteMessage = _StubMessageProxy  # type: ignore[misc]  # what the consumers of this process hand out


class _Queues(set[str]):
    """Names of queues that can also be looked into, as those of the stub."""

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
        return self._broker.get_queue_message_counts(self._name)[0]

    @property
    def unfinished_tasks(self) -> int:
        return sum(s.ready + s.delayed + s.leased for s in self._broker.admin.queue_stats() if s.queue == self._name)
