"""Conversion between dramatiq's messages and rows of the tables.

The body of a row has the canonical queue name and no `eta`: dramatiq's consumer would delay a message with an `eta` in
memory again.
"""

from __future__ import annotations

import hashlib
import logging
from operator import attrgetter
from typing import Any, cast

from dramatiq import Actor, Message
from dramatiq.common import dq_name, q_name
from dramatiq.errors import DecodeError
from dramatiq.message import get_encoder

from broker.storage.boot_clock import boot_id, boot_ms
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
_UNIQUE_OPTIONS = {"unique_for", "unique_key", "scheduled_at"}
_CONCURRENCY_OPTIONS = {"concurrency_key", "concurrency_limit"}
_FIELDS = ("queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp")
_field_values = attrgetter(*_FIELDS)
# A scheduler that is later than this sends ticks that periodiq skips (its `skip_delay`). Not longer: when the wall
# clock is set back, the same minutes come again, and each needs its ticks.
TICK_UNIQUE_S = 30.0
# Of a time in ISO 8601. No actor has two ticks in a minute, and the schedulers of two machines differ by some seconds.
MINUTE_CHARACTERS = len("2026-01-01T00:00")
# Of keys. An entry of PostgreSQL's indexes has 2,704 bytes at most (measured with version 15), other columns included;
# a character has up to 4.
LONGEST_KEY = 400
SHOWN_CHARACTERS = 80  # of a longer key

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
    # The same as `dramatiq.Message.asdict`, which makes 10 calls.
    fields = dict(zip(_FIELDS, _field_values(message), strict=True))
    options = dict(message.options)
    eta = options.pop("eta", None)
    eta_ms = None if eta is None else _eta(eta, message.message_id, now_ms)
    fields |= {"queue_name": queue, "options": options}
    effective = options if actor is None or not ACTOR_OPTIONS & actor.options.keys() else _effective(options, actor)
    return Entry(
        queue=queue,
        message_id=message.message_id,
        actor=message.actor_name,
        body=get_encoder().encode(fields),
        broker_priority=int(effective.get("broker_priority") or 0),
        actor_priority=actor.priority if actor is not None else 0,
        sent_ms=message.message_timestamp,
        eta_ms=eta_ms,
        attempts=attempts,
        unique=_unique(message, effective) if _UNIQUE_OPTIONS & effective.keys() else None,
        concurrency=_concurrency(message, effective) if _CONCURRENCY_OPTIONS & effective.keys() else None,
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


def _effective(options: dict[str, Any], actor: AnyActor) -> dict[str, Any]:  # Any: options hold any values
    """Return the options of a message, with those of its actor where it has none."""
    return actor.options | {name: value for name, value in options.items() if value is not None}


def _unique(message: AnyMessage, options: dict[str, Any]) -> Unique | None:
    seconds, key = options.get("unique_for"), options.get("unique_key")
    tick = message.options.get("scheduled_at")  # set by periodiq's schedulers
    is_tick = seconds is None
    if seconds is None:
        if key is not None:
            raise ValueError(f"unique_key {key!r} of {message.actor_name!r} needs unique_for, in seconds")
        if not isinstance(tick, str):
            return None
        seconds, key = TICK_UNIQUE_S, f"at {tick[:MINUTE_CHARACTERS]}"
    if key is None:
        arguments = get_encoder().encode({"args": list(message.args), "kwargs": message.kwargs})
        key = hashlib.sha256(arguments).hexdigest()
    for_ms = int(float(seconds) * 1000)
    return Unique(_indexable(f"{message.actor_name} {key}"), for_ms, boot_id(), boot_ms(), survives_boot=not is_tick)


def _concurrency(message: AnyMessage, options: dict[str, Any]) -> Concurrency | None:
    key, limit = options.get("concurrency_key"), options.get("concurrency_limit")
    if key is None and limit is None:
        return None
    at_once = 1 if limit is None else int(limit)
    if at_once < 1:
        raise ValueError(f"concurrency_limit {limit!r} of {message.actor_name!r} must be 1 or more")
    return Concurrency(_indexable(message.actor_name if key is None else str(key)), at_once)


def _indexable(key: str) -> str:
    """Return a key, or its beginning and hash if it is longer than an index of PostgreSQL is sure to take."""
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[:SHOWN_CHARACTERS]} {hashlib.sha256(key.encode(errors='replace')).hexdigest()}"


def _eta(eta: object, message_id: str, now_ms: int) -> int:
    if isinstance(eta, (int, float)):
        return int(eta)
    # Begins as the message of dramatiq's own worker, which operators may search for.
    logger.warning("Invalid eta value for message %r: %r. It is due now.", message_id, eta)
    return now_ms
