"""The forecast: when each waiting publication starts, and what it waits for, if nothing changes.

`predict` is a pure function of a snapshot. It repeats the scheduler's own decision (`turns.decide`) for one start after
the other. What nobody can know has no time: an approval, an account that is to be connected again, an unknown outcome,
a part that was not published. The rendering of a part is estimated by the pace of its job so far.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from actors.flow.expected_posts import ExpectedJob
from actors.flow.turns import Pauses, PostingLimits, PostLimit, Turn, decide
from store.forecast_rows import OpenPost
from store.schedules import Schedule
from store.states import PublicationStatus, WaitsFor


@dataclass(frozen=True, slots=True)
class Prediction:
    """The start and the end of a waiting publication, and what it waits for; without a time, nobody can know."""

    at: datetime | None
    waits_for: WaitsFor
    job_id: str
    segment_id: str
    ends_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class AccountQueue:
    """The snapshot of one account.

    Attributes:
        id: of the account.
        is_connected: nothing starts on another one.
        schedule: of the account.
        recent: when its posts since `turns.counted_since` began, oldest first.
        pauses: of the account and its platform.
        free_at: when the post that is under way will have ended; None: nothing is under way.
        post_s: how long a post takes, in seconds.
        posts: its open publications, in order; read as far as they can start before they expire.
        held_after: number of the part that was not published and holds those after it, by job.
        post_limit: of the platform.
    """

    id: str
    is_connected: bool
    schedule: Schedule
    recent: Sequence[datetime]
    pauses: Pauses
    post_s: float
    posts: Iterable[OpenPost]
    free_at: datetime | None = None
    held_after: Mapping[str, int] = field(default_factory=dict)
    post_limit: PostLimit | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The facts of which a forecast is made.

    Attributes:
        now: an aware time.
        max_open: after which an open publication expires, counted from its own time if it has a later one.
        accounts: the queues.
        rendered_at: estimated end of the rendering of parts, by segment.
        expected: the jobs that are not planned yet, whose expected posts are in the queues.
    """

    now: datetime
    max_open: timedelta
    accounts: Sequence[AccountQueue]
    rendered_at: Mapping[str, datetime]
    expected: Mapping[str, ExpectedJob] = field(default_factory=dict)


def predict(snapshot: Snapshot) -> dict[str, Prediction]:
    """Return the predictions of waiting publications, by id; what is missing has no turn before it expires."""
    connected = [queue for queue in snapshot.accounts if queue.is_connected]
    return {name: found for queue in connected for name, found in _AccountForecast(snapshot, queue).run()}


@dataclass(slots=True)
class _Series:
    """The open parts of one job on one account that go out without a person's help.

    Attributes:
        order: of the job among those of the account.
        parts: in order, without those that are out.
        has_started: a part is out or under way, so that the others wait for an earlier part.
        publish_after: time before which the first of the parts cannot start.
    """

    order: int
    parts: deque[OpenPost]
    has_started: bool
    publish_after: datetime | None = None


class _AccountForecast:
    """The simulation of one account: a heap of jobs that may go, and one of those with a later time of their own."""

    def __init__(self, snapshot: Snapshot, queue: AccountQueue) -> None:
        self._snapshot = snapshot
        self._queue = queue
        self._recent = list(queue.recent)
        self._unread: Iterator[tuple[int, tuple[str, Iterable[OpenPost]]]]
        self._unread = enumerate(groupby(queue.posts, attrgetter("job_id")))
        self._ready: list[tuple[int, _Series]] = []  # by order
        self._later: list[tuple[datetime, int, _Series]] = []  # by time
        self._found: list[tuple[str, Prediction]] = []

    def run(self) -> list[tuple[str, Prediction]]:
        """Return the predictions of the publications that can start before all that waits now expires."""
        moment = max(self._snapshot.now, self._queue.free_at or self._snapshot.now)
        while (turn := self._next(moment)) is not None:
            series, at = turn.candidate, turn.slot.at
            post = series.parts.popleft()
            if at >= self._snapshot.now + self._snapshot.max_open:
                self._unread = iter(())  # of what has been read, only a video with a later time of its own can start
            if at >= max(post.created_at, post.publish_after or post.created_at) + self._snapshot.max_open:
                continue  # it expires before, and those after it
            self._add_prediction(post, at, self._reason(series, post, turn.slot.waits_for))
            self._recent.append(at)
            moment = at + timedelta(seconds=self._queue.post_s)
            series.has_started = True
            self._line_up(series)
        return self._found

    def _next(self, moment: datetime) -> Turn[_Series] | None:
        """Take the job that has the next turn off the queues; None when nothing is left.

        A job with a later time competes only once the earliest time that a post can start has reached its own.
        """
        queue = self._queue
        limits = PostingLimits(queue.schedule, self._recent, queue.pauses, moment, queue.post_limit)
        self._move_to_ready(limits.next_slot.at)
        while not self._ready and self._read_job():
            self._move_to_ready(limits.next_slot.at)
        if not self._ready and self._later:
            self._move_to_ready(limits.slot(self._later[0][0]).at)
        return next(decide(limits, [heapq.heappop(self._ready)[1]])) if self._ready else None

    def _move_to_ready(self, at: datetime) -> None:
        while self._later and self._later[0][0] <= at:
            _, order, series = heapq.heappop(self._later)
            heapq.heappush(self._ready, (order, series))

    def _read_job(self) -> bool:
        """Queue the parts of the next job, up to one that waits for a person; False if there is no job left."""
        order, (job_id, posts) = next(self._unread, (0, ("", None)))
        if posts is None:
            return False
        parts = list(posts)
        end, reason = self._find_block(job_id, parts)
        going = [post for post in parts[:end] if post.status == PublicationStatus.WAITING]
        self._line_up(_Series(order, deque(going), has_started=len(going) < end))
        for post in parts[end:]:
            if post.status == PublicationStatus.WAITING:
                self._add_prediction(post, None, reason)
        return True

    def _find_block(self, job_id: str, parts: Sequence[OpenPost]) -> tuple[int, WaitsFor]:
        """Return the index of the first part that waits for a person, or the number of parts, and for what it waits."""
        if parts[0].needs_approval:
            return 0, WaitsFor.APPROVAL
        cause = self._queue.held_after.get(job_id, math.inf)
        for index, post in enumerate(parts):
            if post.segment_number > cause or post.status == PublicationStatus.OUTCOME_UNKNOWN:
                return index, WaitsFor.EARLIER_PART
            if not post.is_rendered and post.segment_id not in self._snapshot.rendered_at:
                return index, WaitsFor.RENDERING
        return len(parts), WaitsFor.EARLIER_PART

    def _line_up(self, series: _Series) -> None:
        """Queue a job by the time before which its first part cannot start."""
        if not series.parts:
            return
        first = series.parts[0]
        rendered_at = None if first.is_rendered else self._snapshot.rendered_at[first.segment_id]
        times = [time for time in (first.publish_after, rendered_at) if time is not None]
        series.publish_after = max(times, default=None)
        if series.publish_after is None:
            heapq.heappush(self._ready, (series.order, series))
        else:
            heapq.heappush(self._later, (series.publish_after, series.order, series))

    def _reason(self, series: _Series, post: OpenPost, limit: WaitsFor | None) -> WaitsFor:
        if not post.is_rendered:
            return WaitsFor.RENDERING
        if series.has_started:
            return WaitsFor.EARLIER_PART
        return limit or WaitsFor.NEXT

    def _add_prediction(self, post: OpenPost, at: datetime | None, reason: WaitsFor) -> None:
        ends_at = None if at is None else at + timedelta(seconds=self._queue.post_s)
        self._found.append((post.id, Prediction(at, reason, post.job_id, post.segment_id, ends_at)))
