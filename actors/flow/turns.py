"""Decides which publication of an account starts next, and when. Pure functions: no store, no clock.

The scheduler starts what is decided here (`scheduling`), and the forecast repeats the decision for all that waits
(`forecast`). So the forecast comes true as long as nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from actors.flow.upload_windows import DAY, LONGEST_DAY, StartTime, next_slot
from store.schedules import Schedule
from store.states import WaitsFor

MAX_OPEN = timedelta(days=60)  # a video of three hours has 180 parts; at six a day they take thirty days


class Candidate(Protocol):
    """A publication that the order allows to go next: the first open part of its job on an account."""

    @property
    def publish_after(self) -> datetime | None:
        """Return the time before which its video must not be published."""


C = TypeVar("C", bound=Candidate)


@dataclass(frozen=True)
class Turn(Generic[C]):
    """A publication and the time at which it may start."""

    candidate: C
    slot: StartTime


@dataclass(frozen=True)
class Pauses:
    """Until when an account and its platform are paused; None: they are not."""

    account: datetime | None = None
    platform: datetime | None = None

    def after(self, now: datetime) -> StartTime:
        """Return the first time, not before `now`, that is in no pause."""
        slot = StartTime(now)
        for until, code in ((self.account, WaitsFor.ACCOUNT), (self.platform, WaitsFor.PLATFORM_OUTAGE)):
            if until is not None and until > slot.at:
                slot = StartTime(until, code)
        return slot


@dataclass(frozen=True)
class PostingLimits:
    """The limits of the next post of an account.

    Attributes:
        schedule: of the account.
        recent: when its posts since `counted_since` began, oldest first.
        pauses: of the account and the platform.
        now: an aware time.
    """

    schedule: Schedule
    recent: Sequence[datetime]
    pauses: Pauses
    now: datetime

    @cached_property
    def next_slot(self) -> StartTime:
        """Return when a post may start that has no time of its own."""
        paused = self.pauses.after(self.now)
        slot = next_slot(self.schedule, self.recent, paused.at)
        return StartTime(slot.at, paused.waits_for) if slot.waits_for is None else slot

    def slot(self, not_before: datetime | None) -> StartTime:
        """Return when a post may start that has this time of its own."""
        if not_before is None or not_before <= self.next_slot.at:
            return self.next_slot
        return StartTime(next_slot(self.schedule, self.recent, not_before).at, WaitsFor.OWN_TIME)


def decide(limits: PostingLimits, candidates: Iterable[C]) -> Iterator[Turn[C]]:
    """Yield the time of each candidate, in their order, up to the first that takes the next slot.

    One whose video has a later time of its own does not hold up those behind it. The next to start is the first of
    those with the earliest time.
    """
    for candidate in candidates:
        slot = limits.slot(candidate.publish_after)
        yield Turn(candidate, slot)
        if slot.at <= limits.next_slot.at:
            return


def past_starts(starts: Sequence[datetime], now: datetime) -> list[datetime]:
    """Return the starts that count; later ones than a day from now were stored before the clock was set back."""
    return [began for began in starts if began <= now + DAY]


def counted_since(schedule: Schedule, now: datetime) -> datetime:
    """Return since when the starts of posts count for the limits of a schedule."""
    return now - max(LONGEST_DAY, timedelta(seconds=schedule.min_gap_s))
