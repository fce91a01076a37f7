"""Decides which publication of an account starts next, and when. Pure functions: no store, no clock.

The scheduler starts what is decided here (`scheduling`), and the forecast repeats the decision for all that waits
(`forecast`). So the forecast comes true as long as nothing changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from actors.flow.upload_windows import DAY, DEFAULTS, LONGEST_DAY, StartTime, local_day, next_slot
from store.schedules import Schedule
from store.states import WaitsFor

MAX_OPEN = timedelta(days=60)  # a video of three hours has 180 parts; at six a day they take thirty days


class Candidate(Protocol):
    """A publication that the order allows to go next: the first open part of its job on an account."""

    @property
    def publish_after(self) -> datetime | None:
        """Return the time before which it must not be published: its own, or that of its video."""

    @property
    def publish_now(self) -> bool:
        """Return whether a person wants it at once."""


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
class PostLimit:
    """The limit of posts that a platform itself sets.

    Attributes:
        posts: in a day, at least 1.
        others: posts of others that count, too, until `others_until`.
        others_until: None: there are none.
        zone: whose calendar days count; None: any 24 hours.
    """

    posts: int
    others: int = 0
    others_until: datetime | None = None
    zone: ZoneInfo | None = None

    def free_at(self, recent: Sequence[datetime], moment: datetime) -> datetime:
        """Return the first time, not before a moment, at which the platform takes another post of an account."""
        while (count := self._count(recent, moment)) >= self.posts:
            moment = self._next_change(recent, moment, count)
        return moment

    def _count(self, recent: Sequence[datetime], moment: datetime) -> int:
        own = (
            len(recent) - bisect_right(recent, moment - DAY)
            if self.zone is None
            else local_day(moment, self.zone).count(recent)
        )
        return own + (self.others if self._counts_others(moment) else 0)

    def _counts_others(self, moment: datetime) -> bool:
        return self.others_until is not None and moment < self.others_until

    def _next_change(self, recent: Sequence[datetime], moment: datetime, count: int) -> datetime:
        """Return the next time at which fewer posts count."""
        if self.zone is not None:
            return local_day(moment, self.zone).end
        others = self.others if self._counts_others(moment) else 0
        ends = [self.others_until] if others and self.others_until is not None else []
        return min([*ends, *(began + DAY for began in recent[len(recent) - (count - others) :][:1])])


@dataclass(frozen=True)
class PostingLimits:
    """The limits of the next post of an account.

    Attributes:
        schedule: of the account.
        recent: when its posts since `counted_since` began, oldest first.
        pauses: of the account and the platform.
        now: an aware time.
        post_limit: of the platform; None: it sets none that is known.
    """

    schedule: Schedule
    recent: Sequence[datetime]
    pauses: Pauses
    now: datetime
    post_limit: PostLimit | None = None

    @cached_property
    def next_slot(self) -> StartTime:
        """Return when a post may start that has no time of its own."""
        paused = self.pauses.after(self.now)
        slot = self.slot_after(paused.at)
        return StartTime(slot.at, paused.waits_for) if slot.waits_for is None else slot

    @cached_property
    def immediate_slot(self) -> StartTime:
        """Return when a post may start that a person wants at once; never after `next_slot`."""
        return self.immediate_slot_after(self.now)

    def immediate_slot_after(self, moment: datetime) -> StartTime:
        """Return the same for a post that cannot start before a moment."""
        paused = self.pauses.after(moment)
        slot = replace(self, schedule=without_preferences(self.schedule)).slot_after(paused.at)
        return StartTime(slot.at, paused.waits_for) if slot.waits_for is None else slot

    def slot_of(self, candidate: Candidate) -> StartTime:
        """Return when a candidate may start."""
        return self.immediate_slot if candidate.publish_now else self.slot(candidate.publish_after)

    def slot(self, not_before: datetime | None) -> StartTime:
        """Return when a post may start that has this time of its own."""
        if not_before is None or not_before <= self.next_slot.at:
            return self.next_slot
        return StartTime(self.slot_after(not_before).at, WaitsFor.OWN_TIME)

    def slot_after(self, moment: datetime) -> StartTime:
        """Return the first time, not before a moment, at which schedule and platform allow a post."""
        slot = next_slot(self.schedule, self.recent, moment)
        if self.post_limit is None:
            return slot
        while (free_at := self.post_limit.free_at(self.recent, slot.at)) > slot.at:
            slot = StartTime(next_slot(self.schedule, self.recent, free_at).at, WaitsFor.PLATFORM_LIMIT)
        return slot


def decide(limits: PostingLimits, candidates: Iterable[C]) -> Iterator[Turn[C]]:
    """Yield the time of each candidate, in their order, up to the first that takes the next slot.

    One that has a later time of its own does not hold up those behind it. The next to start is the first of those with
    the earliest time. Those that a person wants at once come first: `store.publication_queue`.
    """
    for candidate in candidates:
        slot = limits.slot_of(candidate)
        yield Turn(candidate, slot)
        if slot.at <= limits.next_slot.at:
            return


def without_preferences(schedule: Schedule) -> Schedule:
    """Return what of a schedule counts for a post that a person wants at once: the platform's limit of a day.

    A higher limit of the schedule counts instead: it is that of this account's owner, whose app or account may do more.
    """
    per_day = max(schedule.max_per_day, DEFAULTS[schedule.platform].max_per_day)
    return replace(schedule, windows=[], min_gap_s=0.0, max_per_day=per_day)


def past_starts(starts: Sequence[datetime], now: datetime) -> list[datetime]:
    """Return the starts that count; later ones than a day from now were stored before the clock was set back."""
    return [began for began in starts if began <= now + DAY]


def counted_since(schedule: Schedule, now: datetime) -> datetime:
    """Return since when the starts of posts count for the limits of a schedule."""
    return now - max(LONGEST_DAY, timedelta(seconds=schedule.min_gap_s))
