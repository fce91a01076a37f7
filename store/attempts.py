"""Failed attempts at media work, stored as JSON with their job or part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class MediaOutcome(StrEnum):
    """Why an attempt failed; stable codes, shown in status and page."""

    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE_PASSED = "deadline_passed"
    CRASHED = "crashed"  # a signal ended the child
    INTERNAL_ERROR = "internal_error"  # the child ended with an exception of our own code
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
        """Return values for JSON; times in ISO 8601."""
        return asdict(self) | {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> MediaAttempt:  # Any: JSON
        """Return the attempt of `to_json`'s values."""
        moments = {name: datetime.fromisoformat(fields[name]) for name in ("began_at", "ended_at")}
        return cls(**(fields | moments | {"outcome": MediaOutcome(fields["outcome"])}))


def decode_attempts(stored: Sequence[dict[str, Any]] | None) -> list[MediaAttempt]:  # Any: JSON
    """Return the attempts in a column's value, oldest first."""
    return [MediaAttempt.from_json(fields) for fields in stored or ()]


def encode_attempts(attempts: Sequence[MediaAttempt]) -> list[dict[str, Any]]:  # Any: JSON
    """Return the column value for attempts."""
    return [attempt.to_json() for attempt in attempts]
