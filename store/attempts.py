"""Failed attempts at media work and at publishing, stored as JSON with their job, part or publication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class MediaOutcome(StrEnum):
    """The reason for which an attempt failed; stable codes, shown in status and page."""

    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE_PASSED = "deadline_passed"
    CRASHED = "crashed"  # a signal ended the child
    INTERNAL_ERROR = "internal_error"  # the child ended with an exception of our own code
    DISK_FULL = "disk_full"  # the disk had no room for the part; the work waits for it
    STORAGE_UNAVAILABLE = "storage_unavailable"  # the storage of the files did not answer; the work waits for it
    INTERRUPTED = "interrupted"  # the worker ended; the file may or may not be the cause


@dataclass(frozen=True, kw_only=True)
class MediaAttempt:
    """A failed attempt."""

    began_at: datetime
    ended_at: datetime
    settings: str  # a value of `actors.flow.retrying.MediaSettings`
    outcome: MediaOutcome
    exit_code: int | None = None
    signal: int | None = None
    held_bytes: int | None = None  # memory in use when its limit was exceeded
    limit_bytes: int | None = None  # limit of memory
    deadline_s: float | None = None  # limit of time, if it was exceeded
    stderr_tail: str = ""  # end of the child's stderr; may contain paths

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the fields as JSON values; times in ISO 8601."""
        return asdict(self) | {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> MediaAttempt:  # Any: JSON
        """Return the attempt for the values of `to_json`."""
        moments = {name: datetime.fromisoformat(fields[name]) for name in ("began_at", "ended_at")}
        return cls(**(fields | moments | {"outcome": MediaOutcome(fields["outcome"])}))


def decode_attempts(stored: Sequence[dict[str, Any]] | None) -> list[MediaAttempt]:  # Any: JSON
    """Return the attempts in a column's value, oldest first."""
    return [MediaAttempt.from_json(fields) for fields in stored or ()]


def encode_attempts(attempts: Sequence[MediaAttempt]) -> list[dict[str, Any]]:  # Any: JSON
    """Return the value of a column for attempts."""
    return [attempt.to_json() for attempt in attempts]


MAX_PUBLISHING_ATTEMPTS = 20  # the newest; a question may be refused for a day


@dataclass(frozen=True, kw_only=True)
class PublishingAttempt:
    """A failed attempt at a step of a publication, with the platform's own facts."""

    at: datetime
    step: str | None  # None: before the first step
    code: str
    detail: str  # a sentence for a person; never a secret
    platform_code: str | None = None
    log_id: str | None = None  # the id that the platform's support asks for

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return values for JSON; the time in ISO 8601."""
        return asdict(self) | {"at": self.at.isoformat()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> PublishingAttempt:  # Any: JSON
        """Return the attempt of `to_json`'s values."""
        return cls(**(fields | {"at": datetime.fromisoformat(fields["at"])}))


def decode_publishing_attempts(stored: Sequence[dict[str, Any]] | None) -> list[PublishingAttempt]:  # Any: JSON
    """Return the attempts in a column's value, oldest first."""
    return [PublishingAttempt.from_json(fields) for fields in stored or ()]


def append_attempt(
    stored: Sequence[dict[str, Any]] | None, attempt: PublishingAttempt
) -> list[dict[str, Any]]:  # Any: JSON
    """Return the column value with one more attempt; the oldest ones are dropped."""
    return [*(stored or ()), attempt.to_json()][-MAX_PUBLISHING_ATTEMPTS:]
