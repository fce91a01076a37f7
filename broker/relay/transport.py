"""Transports: queues of tokens in RabbitMQ or Redis, through Dramatiq's own brokers."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from dramatiq import Message
from dramatiq.broker import Consumer

from broker.errors import TransportUnusable

__all__ = ["NAMESPACE", "Transport", "new_token", "open_transport", "queue_of_tokens"]

# Before the names of queues: workers of other applications, and our own without a relay, must not take the tokens.
NAMESPACE = "relay"


class Transport(Protocol):
    """Queues of tokens. Nothing is connected before the first use. Each method may raise `TransportUnavailable`."""

    def depth(self, queue: str) -> int:
        """Return how many tokens wait in a queue, without those on their way to a worker."""

    def put(self, queue: str, count: int) -> None:
        """Add tokens to a queue; they have arrived when this returns."""

    def keep_alive(self) -> None:
        """Do what the connection of `depth` and `put` needs every ten seconds."""

    def receive(self, queue: str) -> Consumer:
        """Return a new consumer of a queue of tokens, for one thread; it fetches one token at a time."""

    def release(self, consumer: Consumer) -> None:
        """Close a consumer and its connection; also one whose connection is lost, without an error."""

    def close(self) -> None:
        """Close all connections."""


def queue_of_tokens(queue: str) -> str:
    """Return the name that the tokens of a queue have in the transport."""
    return f"{NAMESPACE}.{queue}"


def new_token(queue: str) -> Message[None]:
    """Return a token as Dramatiq's brokers carry it. It names no message: the worker claims the most urgent one."""
    return Message(queue_name=queue_of_tokens(queue), actor_name="claim", args=(), kwargs={}, options={})


def open_transport(url: str) -> Transport:
    """Return the transport that a URL names; nothing is connected yet.

    Raises:
        TransportUnusable: the URL cannot be read, or its Python package is not installed.
    """
    scheme = urlsplit(url).scheme
    try:
        if scheme in {"amqp", "amqps"}:
            from broker.relay.rabbitmq import RabbitmqTransport  # noqa: PLC0415  # imported only if it is used

            return RabbitmqTransport(url)
        if scheme in {"redis", "rediss"}:
            from broker.relay.redis import RedisTransport  # noqa: PLC0415

            return RedisTransport(url)
    except ImportError as error:
        raise TransportUnusable(f"{scheme}:// needs the Python package {error.name}, which is not installed") from None
    except ValueError as error:
        raise TransportUnusable(f"the URL of the transport cannot be read: {error}") from None
    raise TransportUnusable(f"a transport is amqp://, amqps://, redis:// or rediss://, not {scheme or 'no URL'!r}")
