"""Tokens in RabbitMQ."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pika.exceptions
from dramatiq.broker import Consumer
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.errors import BrokerConnectionError

from broker.errors import TransportUnavailable
from broker.relay.transport import new_token, queue_of_tokens

__all__ = ["RabbitmqTransport"]

# RabbitMQ blocks publishers when its memory or disk is full, and pika would wait for ever.
BLOCKED_TIMEOUT_S = 10.0
RECEIVE_MS = 250  # between two looks whether tokens are still wanted


class RabbitmqTransport:
    """Queues of tokens in RabbitMQ, with publisher confirms.

    A consumer acknowledges a token when it receives it, before the message of the token is processed. So no delivery
    stays unacknowledged for long, and RabbitMQ's limit for that (30 minutes) never closes a channel.
    """

    def __init__(self, url: str) -> None:
        """Connect nothing yet.

        Raises:
            ValueError: the URL cannot be read.
        """
        # It logs each lost connection several times, with tracebacks; those who use the transport log it once.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._broker = RabbitmqBroker(url=url, confirm_delivery=True, middleware=[])
        servers = self._broker.parameters
        for parameters in servers if isinstance(servers, list) else [servers]:
            if parameters.blocked_connection_timeout is None:
                parameters.blocked_connection_timeout = BLOCKED_TIMEOUT_S

    def depth(self, queue: str) -> int:
        """Return how many tokens wait; declares the queue where it is missing."""
        with self._reconnecting():
            ready, _, _ = self._broker.get_queue_message_counts(queue_of_tokens(queue))
            return int(ready)

    def put(self, queue: str, count: int) -> None:
        """Publish tokens, each confirmed by the server."""
        with self._reconnecting():
            for _ in range(count):
                self._broker.enqueue(new_token(queue))

    def keep_alive(self) -> None:
        """Answer the server's heartbeats."""
        with self._reconnecting():
            self._broker.connection.process_data_events(0)

    def receive(self, queue: str) -> Consumer:
        """Return a consumer, which has a connection of its own."""
        name = queue_of_tokens(queue)
        self._broker.declare_queue(name)
        self._broker.queues_pending.add(name)  # declared once more: it may have been deleted
        with self._reconnecting():
            consumer = self._broker.consume(name, prefetch=1, timeout=RECEIVE_MS)
            del self._broker.connection  # of the declaration; this thread would not answer its heartbeats
            return consumer

    def release(self, consumer: Consumer) -> None:
        """Close a consumer and its connection, which Dramatiq leaves open if the server has closed the channel."""
        with contextlib.suppress(Exception):  # of pika; the connection may be lost anyhow
            consumer.close()
        connection: Any = getattr(consumer, "connection", None)  # Any: pika has no types
        if connection is not None and connection.is_open:
            with contextlib.suppress(Exception):  # as above
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        self._broker.close()

    @contextlib.contextmanager
    def _reconnecting(self) -> Iterator[None]:
        """Have the next call of this thread connect again after an error."""
        try:
            yield
        except (pika.exceptions.AMQPError, BrokerConnectionError, OSError) as error:
            with contextlib.suppress(pika.exceptions.AMQPError, KeyError):
                del self._broker.connection
            raise TransportUnavailable(f"RabbitMQ: {type(error).__name__}: {error}".rstrip(": ")) from error
