"""A clock that only a test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from store.boot_clock import BootTime

__all__ = ["Clock"]


@dataclass
class Clock:
    """Called, it returns its moment, which stands still until it is moved."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
    boot: str = "boot"
    boot_s: float = 86_400.0

    def __call__(self) -> datetime:
        return self.moment

    def timestamp(self) -> float:
        """Return Unix seconds, as `time.time` does."""
        return self.moment.timestamp()

    def now_s(self) -> float:
        """Return seconds since the boot."""
        return self.boot_s

    def boot_time(self) -> BootTime:
        """Return the moment of the clock that is never set."""
        return BootTime(self.boot, self.boot_s)

    def move(self, **by: float) -> None:
        """Let time pass, by the keywords of `timedelta`."""
        self.moment += timedelta(**by)
        self.boot_s += timedelta(**by).total_seconds()

    def correct(self, **by: float) -> None:
        """Set the wall clock by the keywords of `timedelta`; no time passes."""
        self.moment += timedelta(**by)
