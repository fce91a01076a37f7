"""Attempts at media work that gave no result: kept as JSON with the job or the part they were made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class MediaOutcome(StrEnum):
    """Why an attempt gave no result, by the names that the outside sees."""

    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE_PASSED = "deadline_passed"
    CRASHED = "crashed"  # the child was ended by a signal
    INTERNAL_ERROR = "internal_error"  # the child ended with an error of our own code
    INTERRUPTED = "interrupted"  # the worker itself ended; says nothing certain about the file


@dataclass(frozen=True, kw_only=True)
class MediaAttempt:
    """One attempt and how it ended."""

    began_at: datetime
    ended_at: datetime
    settings: str  # how much was asked of it, e.g. "full"
    outcome: MediaOutcome
    exit_code: int | None = None
    signal: int | None = None
    held_bytes: int | None = None  # memory at the end, where that ended it
    limit_bytes: int | None = None  # memory it was allowed
    deadline_s: float | None = None  # time it was allowed, where that ended it
    stderr_tail: str = ""  # what the child said last; may name paths

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return plain values; times in ISO 8601."""
        return asdict(self) | {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> MediaAttempt:  # Any: JSON
        """Rebuild what `to_json` gave."""
        moments = {name: datetime.fromisoformat(fields[name]) for name in ("began_at", "ended_at")}
        return cls(**(fields | moments | {"outcome": MediaOutcome(fields["outcome"])}))


def read(stored: Sequence[dict[str, Any]] | None) -> list[MediaAttempt]:  # Any: JSON
    """Return the attempts of a column's value, oldest first."""
    return [MediaAttempt.from_json(fields) for fields in stored or ()]


def written(attempts: Sequence[MediaAttempt]) -> list[dict[str, Any]]:  # Any: JSON
    """Return a column's value for attempts."""
    return [attempt.to_json() for attempt in attempts]
