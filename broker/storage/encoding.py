"""Conversion between dramatiq's messages and rows of the tables.

The body of a row has the canonical queue name and no `eta`: dramatiq's consumer would delay a message with an `eta` in
memory again.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any, cast

from dramatiq import Actor, Message
from dramatiq.common import dq_name, q_name
from dramatiq.errors import DecodeError
from dramatiq.message import get_encoder

from broker.storage.concurrency import Concurrency
from broker.storage.queue import Entry
from broker.storage.unique import Unique

__all__ = [
    "ACTOR_OPTIONS",
    "AnyActor",
    "AnyMessage",
    "decode_arguments",
    "decode_message",
    "encode_message",
    "with_eta",
]

AnyMessage = Message[Any]  # Any: what an actor takes and returns does not matter to a broker
AnyActor = Actor[..., Any]

ACTOR_OPTIONS = frozenset({"broker_priority", "concurrency_key", "concurrency_limit", "unique_for", "unique_key"})
TICK_UNIQUE_S = 3600.0  # a scheduler whose clock is later than this has other problems

logger = logging.getLogger(__name__)


def with_eta(message: AnyMessage, delay_ms: int | None, now_ms: int) -> AnyMessage:
    """Return the message as dramatiq's brokers return it: with a delay, it names its delay queue and its eta."""
    if delay_ms is None:
        return message
    return message.copy(queue_name=dq_name(message.queue_name), options={"eta": now_ms + delay_ms})


def encode_message(message: AnyMessage, actor: AnyActor | None, *, attempts: int, now_ms: int) -> Entry:
    """Return the row for a message.

    Args:
        actor: its options apply where the message has none of its own; None: not declared in this process.

    Raises:
        ValueError: an option of this broker is invalid.
        Exception: as the encoder raises for arguments that it cannot encode.
    """
    queue = q_name(message.queue_name)
    fields = message.asdict()
    options = dict(fields["options"])
    eta_ms = _eta(options.pop("eta", None), message.message_id, now_ms)
    fields |= {"queue_name": queue, "options": options}
    return Entry(
        queue=queue,
        message_id=message.message_id,
        actor=message.actor_name,
        body=get_encoder().encode(fields),
        broker_priority=int(_option(message, actor, "broker_priority") or 0),
        actor_priority=actor.priority if actor is not None else 0,
        sent_ms=message.message_timestamp,
        eta_ms=eta_ms,
        attempts=attempts,
        unique=_unique(message, actor, now_ms),
        concurrency=_concurrency(message, actor),
    )


def decode_message(body: bytes) -> AnyMessage:
    """Return the message in a row's body.

    Raises:
        DecodeError: the encoder in use cannot decode it, or it is no message that a worker can handle.
    """
    message = Message.decode(body)
    actor, options = cast("object", message.actor_name), cast("object", message.options)  # encoders give no guarantee
    if not (isinstance(actor, str) and isinstance(options, dict)):
        error = TypeError(f"actor {actor!r}, options {options!r}")
        raise DecodeError("Not a message.", body, error)  # type: ignore[no-untyped-call]  # dramatiq's
    return message


def decode_arguments(body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of the message in a row's body; empty if it cannot be decoded."""
    try:
        message = decode_message(body)
    except DecodeError:
        return (), {}
    return tuple(message.args), message.kwargs


def _option(message: AnyMessage, actor: AnyActor | None, name: str) -> Any:  # Any: options hold any values
    value = message.options.get(name)
    return actor.options.get(name) if value is None and actor is not None else value


def _unique(message: AnyMessage, actor: AnyActor | None, now_ms: int) -> Unique | None:
    seconds, key = _option(message, actor, "unique_for"), _option(message, actor, "unique_key")
    tick = message.options.get("scheduled_at")  # set by periodiq's schedulers
    if seconds is None:
        if key is not None:
            raise ValueError(f"unique_key {key!r} of {message.actor_name!r} needs unique_for, in seconds")
        if not isinstance(tick, str):
            return None
        seconds, key = TICK_UNIQUE_S, f"at {tick}"
    if key is None:
        arguments = get_encoder().encode({"args": list(message.args), "kwargs": message.kwargs})
        key = hashlib.sha256(arguments).hexdigest()
    return Unique(f"{message.actor_name} {key}", now_ms + int(float(seconds) * 1000))


def _concurrency(message: AnyMessage, actor: AnyActor | None) -> Concurrency | None:
    key, limit = _option(message, actor, "concurrency_key"), _option(message, actor, "concurrency_limit")
    if key is None and limit is None:
        return None
    at_once = 1 if limit is None else int(limit)
    if at_once < 1:
        raise ValueError(f"concurrency_limit {limit!r} of {message.actor_name!r} must be 1 or more")
    return Concurrency(message.actor_name if key is None else str(key), at_once)


def _eta(eta: object, message_id: str, now_ms: int) -> int | None:
    if eta is None:
        return None
    if isinstance(eta, (int, float)):
        return int(eta)
    # Begins as the message of dramatiq's own worker, which operators may search for.
    logger.warning("Invalid eta value for message %r: %r. It is due now.", message_id, eta)
    return now_ms
