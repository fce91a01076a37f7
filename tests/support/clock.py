"""A clock that only a test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["Clock"]


@dataclass
class Clock:
    """Called, it returns its moment, which stands still until it is moved."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 12, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.moment

    def timestamp(self) -> float:
        """Return Unix seconds, as `time.time` does."""
        return self.moment.timestamp()

    def move(self, **by: float) -> None:
        """Move it by the keywords of `timedelta`."""
        self.moment += timedelta(**by)
