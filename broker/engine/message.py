"""A claimed message as dramatiq gets it, and the follow-ups: messages that its processing sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dramatiq.broker import MessageProxy

from broker.engine.batch import WriteRequest
from broker.storage.encoding import AnyMessage, decode_message
from broker.storage.queue import Claim, Entry

__all__ = ["FollowUps", "SqliteMessage", "decode_claim", "log_fields"]


@dataclass(slots=True)
class FollowUps:
    """The messages sent by a message's own processing; stored when its claim ends."""

    entries: list[Entry] = field(default_factory=list)
    sent: list[tuple[AnyMessage, int | None]] = field(default_factory=list)
    failure: Exception | None = None  # sending one of them failed: the message must not count as processed
    interrupted: bool = False  # others might have been sent: the message must run again

    def drop(self, message_id: str) -> None:
        """Drop the messages with this id: the message's own retry."""
        self.entries = [entry for entry in self.entries if entry.message_id != message_id]
        self.sent = [(message, delay) for message, delay in self.sent if message.message_id != message_id]

    @property
    def complete(self) -> bool:
        """Return whether all follow-ups were collected."""
        return self.failure is None and not self.interrupted


class SqliteMessage(MessageProxy):
    """A message that this process holds, with the fencing token of its claim."""

    def __init__(self, message: AnyMessage, held: Claim) -> None:
        super().__init__(message)
        self.held = held
        self.follow_ups: FollowUps | None = None
        self.cancelled = False  # interrupted in its actor by `Cancelled`: it leaves no dead letter
        self.lost = False  # interrupted in its actor by `LeaseLost`: it is given back
        self.settling: WriteRequest[bool] | None = None  # the request that ends the claim, once there is one
        self.on_dropped: Callable[[Claim], None] | None = None  # called when it is dropped without being settled

    def give_back(self) -> None:
        """Have the message given back in the end: it is processed no further here."""
        self.lost = True
        self.options["throws"] = BaseException  # whatever the actor raises now, Retries ignores it

    def __del__(self) -> None:
        if self.on_dropped is not None:
            self.on_dropped(self.held)


def decode_claim(claim: Claim) -> SqliteMessage:
    """Return the message of a claim.

    Raises:
        DecodeError: its bytes mean nothing to the encoder in use.
    """
    message = decode_message(claim.body)
    if message.queue_name != claim.queue or "eta" in message.options:
        options = {name: value for name, value in message.options.items() if name != "eta"}
        message = replace(message, queue_name=claim.queue, options=options)
    return SqliteMessage(message, claim)


def log_fields(claim: Claim, message_id: str | None = None) -> dict[str, object]:
    """Return the attributes of log records about a message, for filters."""
    return {"queue": claim.queue, "message_id": message_id, "attempts": claim.attempts}
