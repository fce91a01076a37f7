"""Tokens in Redis."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import redis
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError

from broker.errors import TransportUnavailable
from broker.relay.transport import NAMESPACE, new_token, queue_of_tokens

__all__ = ["RedisTransport"]

CONNECT_TIMEOUT_S = 5
TIMEOUT_S = 10  # of a command; without it, a connection that is cut off blocks for ever
# Dramatiq's consumer polls, at most so slowly: so long an idle worker waits for a token.
RECEIVE_MS = 250


class RedisTransport:
    """Queues of tokens in Redis.

    Dramatiq returns what a dead process has fetched only after 60 seconds. No message waits for that: a token that is
    with a process counts as used, so the relay has put another one meanwhile.
    """

    def __init__(self, url: str) -> None:
        """Connect nothing yet.

        Raises:
            ValueError: the URL cannot be read.
        """
        self._client = redis.Redis.from_url(
            url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=TIMEOUT_S, socket_keepalive=True
        )
        self._broker = RedisBroker(client=self._client, namespace=NAMESPACE, middleware=[])  # type: ignore[no-untyped-call]  # dramatiq's

    def depth(self, queue: str) -> int:
        """Return how many tokens wait."""
        with _translated():
            return int(self._client.llen(f"{NAMESPACE}:{queue_of_tokens(queue)}"))

    def put(self, queue: str, count: int) -> None:
        """Append tokens."""
        with _translated():
            for _ in range(count):
                self._broker.enqueue(new_token(queue))

    def keep_alive(self) -> None:
        """Do nothing: a connection that was lost is opened again."""

    def receive(self, queue: str) -> Consumer:
        """Return a consumer."""
        return self._broker.consume(queue_of_tokens(queue), prefetch=1, timeout=RECEIVE_MS)

    def release(self, consumer: Consumer) -> None:
        """Close a consumer, which has no connection of its own."""
        consumer.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, BrokerConnectionError, OSError) as error:
        raise TransportUnavailable(f"Redis: {error}") from error
