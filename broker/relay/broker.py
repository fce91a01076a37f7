"""The broker of processes that are woken through RabbitMQ or Redis."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import Any

from broker.engine.engine import Engine, EngineParts, Options
from broker.engine.prefetch import QueueBuffer
from broker.engine.worker_threads import WorkerThreads
from broker.postgresql.broker import PostgresqlBroker
from broker.relay.receiver import TokenReceiver
from broker.relay.transport import Transport, open_transport

__all__ = ["RelayedBroker", "RelayedEngine"]


class RelayedEngine(Engine):
    """An engine that receives tokens from a transport for the queues that have idle threads and no ready messages."""

    def __init__(self, parts: EngineParts, threads: WorkerThreads, options: Options, transport: Transport) -> None:
        self._transport = transport
        self._receivers: dict[str, TokenReceiver] = {}  # by queue; before the writer's thread starts
        self._starting = threading.Lock()
        super().__init__(parts, threads, options)

    def open_buffer(self, queue: str, prefetch: int) -> QueueBuffer:
        """Begin to consume a queue and to receive its tokens."""
        buffer = super().open_buffer(queue, prefetch)
        with self._starting:
            if queue not in self._receivers:
                self._receivers[queue] = TokenReceiver(
                    self._transport,
                    queue,
                    on_token=partial(self._token_arrived, buffer),
                    on_failure=partial(self._receiving_failed, buffer),
                )
        self.writer.wake()  # `idle` wants tokens
        return buffer

    def idle(self) -> float:
        """Claim and read as every engine, then receive tokens for the queues that lack messages."""
        due_in_s = super().idle()
        for queue, receiver in list(self._receivers.items()):
            receiver.want(wanted=self.prefetcher.lacks_messages(self.prefetcher.buffers[queue]))
        return due_in_s

    def receives(self, queue: str) -> bool:
        """Return whether a token of a queue would be received now."""
        receiver = self._receivers.get(queue)
        return receiver is not None and receiver.is_receiving

    def dead_thread(self) -> str | None:
        """Return the name of a receiver's thread that has ended; None if all live."""
        dead = [queue for queue, receiver in list(self._receivers.items()) if receiver.died]
        return f"the thread that receives tokens of {dead[0]} has ended" if dead else None

    def close(self) -> None:
        """Stop receiving, then close as every engine."""
        receivers = list(self._receivers.values())
        for receiver in receivers:
            receiver.stop()
        for receiver in receivers:
            receiver.join()
        super().close()
        self._transport.close()

    def _token_arrived(self, buffer: QueueBuffer) -> None:
        buffer.mark_ready()
        self.writer.wake()

    def _receiving_failed(self, buffer: QueueBuffer) -> None:
        buffer.must_read = True
        self.writer.wake()


class RelayedBroker(PostgresqlBroker):
    """Dramatiq messages in a PostgreSQL database, whose workers are woken through RabbitMQ or Redis by a `Relay`.

    All that is said of `PostgresqlBroker` is true of it, except that its workers listen to no notifications about
    messages and have no timers for delays: tokens wake them. They read the tables all the same, each sixth of the
    lease, and every two seconds while the transport cannot be reached. So without transport or relay the messages are
    late, but not lost.

    Args:
        url: of the database.
        transport_url: `amqp://…`, `amqps://…`, `redis://…` or `rediss://…`.
        options: as `PostgresqlBroker` takes them.

    Raises:
        TransportUnusable: the transport's URL cannot be read, or its Python package is not installed.
    """

    def __init__(self, url: str, transport_url: str, **options: Any) -> None:  # Any: as `PostgresqlBroker` takes them
        open_transport(transport_url)
        self._transport_url = transport_url
        super().__init__(url, **options)

    def dead_thread(self) -> str | None:
        """Return the name of a thread that this process needs and that has ended; None if all live."""
        engine = self._opened
        receiver = engine.dead_thread() if isinstance(engine, RelayedEngine) else None
        return receiver or super().dead_thread()

    def receives(self, queue: str) -> bool:
        """Return whether this process waits for a token of a queue: a thread is idle, and the transport connected."""
        engine = self._opened
        return isinstance(engine, RelayedEngine) and engine.receives(queue)

    def _parts(self) -> EngineParts:
        return replace(super()._parts(), relayed=True)

    def _new_engine(self) -> Engine:
        return RelayedEngine(self._parts(), self._threads, self._options, open_transport(self._transport_url))
