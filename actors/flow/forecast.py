"""The forecast: when each waiting publication starts, and what it waits for, if nothing changes.

`predict` is a pure function of a snapshot. It repeats the scheduler's own decision (`turns.decide`) for one start after
the other. What nobody can know has no time: an approval, an account that is to be connected again, an unknown outcome,
a part that was not published. The rendering of a part is estimated by the pace of its job so far.
"""

from __future__ import annotations

import heapq
import math
from bisect import insort
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
    owner_id: str = ""  # of the account; empty without a time


@dataclass(frozen=True, kw_only=True)
class AccountQueue:
    """The snapshot of one account.

    Attributes:
        id: of the account.
        owner_id: of the account.
        is_connected: nothing starts on another one.
        schedule: of the account.
        recent: when its posts since `turns.counted_since` began, oldest first.
        pauses: of the account and its platform.
        free_at: when the post that is under way will have ended; None: nothing is under way.
        post_s: how long a post takes, in seconds.
        posts: its open publications, in order; read as far as they can start before they expire.
        wanted_now: the open publications of those jobs of which a person wants one at once; they are in `posts`, too.
        held_after: number of the part that was not published and holds those after it, by job.
        post_limit: of the platform.
    """

    id: str
    owner_id: str
    is_connected: bool
    schedule: Schedule
    recent: Sequence[datetime]
    pauses: Pauses
    post_s: float
    posts: Iterable[OpenPost]
    wanted_now: Sequence[OpenPost] = ()
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


@dataclass(slots=True, eq=False)
class _Series:
    """The open parts of one job on one account that go out without a person's help.

    Attributes:
        order: of the job among those of the account; None while it is not read.
        parts: in order, without those that are out.
        has_started: a part is out or under way, so that the others wait for an earlier part.
        publish_after: time before which the first of the parts cannot start.
        publish_now: whether a person wants the first of the parts at once.
        place: of the job among those of which a person wants a part at once.
    """

    order: int | None
    parts: deque[OpenPost]
    has_started: bool
    publish_after: datetime | None = None
    publish_now: bool = False
    place: int = 0


class _AccountForecast:
    """The simulation of one account.

    Jobs are read in their order, as far as they are needed, into two heaps: of those that may go, and of those with a
    later time of their own. Jobs of which a person wants a part at once are read before; when that part is out, the
    others wait until the job is reached in its order.
    """

    def __init__(self, snapshot: Snapshot, queue: AccountQueue) -> None:
        self._snapshot = snapshot
        self._queue = queue
        self._recent = list(queue.recent)
        self._unread: Iterator[tuple[int, tuple[str, Iterable[OpenPost]]]]
        self._unread = enumerate(groupby(queue.posts, attrgetter("job_id")))
        self._ready: list[tuple[int, _Series]] = []  # by order
        self._later: list[tuple[datetime, int, _Series]] = []  # by time
        self._found: list[tuple[str, Prediction]] = []
        self._wanted_now: list[_Series] = []
        self._read_before: dict[str, _Series] = {}  # by job
        for place, (job_id, posts) in enumerate(groupby(queue.wanted_now, attrgetter("job_id"))):
            self._read_before[job_id] = self._add_job(job_id, list(posts), order=None, place=place)

    def run(self) -> list[tuple[str, Prediction]]:
        """Return the predictions of the publications that can start before all that waits now expires."""
        moment = max(self._snapshot.now, self._queue.free_at or self._snapshot.now)
        while (turn := self._next(moment)) is not None:
            series, at = turn.candidate, turn.slot.at
            post = series.parts.popleft()
            if at >= self._snapshot.now + self._snapshot.max_open:
                self._unread = iter(())  # of what has been read, only a video with a later time of its own can start
            if at >= post.open_since + self._snapshot.max_open:
                series.parts.clear()  # it expires before, and those after it
                continue
            self._add_prediction(post, at, self._reason(series, post, turn.slot.waits_for))
            self._recent.append(at)
            moment = at + timedelta(seconds=self._queue.post_s)
            series.has_started = True
            self._line_up(series)
        return self._found

    def _next(self, moment: datetime) -> Turn[_Series] | None:
        """Take the job that has the next turn off the queues; None when nothing is left."""
        queue = self._queue
        limits = PostingLimits(queue.schedule, self._recent, queue.pauses, moment, queue.post_limit)
        usual = self._next_usual(limits)
        wanted = [Turn(one, limits.immediate_slot_after(one.publish_after or moment)) for one in self._wanted_now]
        first = min(wanted, key=lambda turn: turn.slot.at, default=None)
        if first is not None and (usual is None or first.slot.at <= usual.slot.at):
            self._wanted_now.remove(first.candidate)
            if usual is not None and usual.slot.at > limits.next_slot.at:
                self._move_back()
            return first
        if usual is not None:
            heapq.heappop(self._ready)
        return usual

    def _next_usual(self, limits: PostingLimits) -> Turn[_Series] | None:
        """Return the next turn of a job that nobody wants at once; it is on top of the heap of those that may go.

        A job with a later time competes only once the earliest time that a post can start has reached its own.
        """
        self._move_to_ready(limits.next_slot.at)
        while not self._ready and self._read_job():
            self._move_to_ready(limits.next_slot.at)
        if not self._ready and self._later:
            self._move_to_ready(limits.slot(self._later[0][0]).at)
        return next(decide(limits, [self._ready[0][1]])) if self._ready else None

    def _move_to_ready(self, at: datetime) -> None:
        while self._later and self._later[0][0] <= at:
            _, order, series = heapq.heappop(self._later)
            heapq.heappush(self._ready, (order, series))

    def _move_back(self) -> None:
        """Return the jobs that may go to those with a later time; another one may get the same time."""
        for order, series in self._ready:
            assert series.publish_after is not None
            heapq.heappush(self._later, (series.publish_after, order, series))
        self._ready.clear()

    def _read_job(self) -> bool:
        """Read the next job in the order; False if there is none left."""
        order, (job_id, posts) = next(self._unread, (0, ("", None)))
        if posts is None:
            return False
        before = self._read_before.get(job_id)
        if before is None:
            self._add_job(job_id, list(posts), order)
        else:
            before.order = order
            if before not in self._wanted_now:
                self._line_up(before)
        return True

    def _add_job(self, job_id: str, parts: Sequence[OpenPost], order: int | None, place: int = 0) -> _Series:
        """Queue the parts of a job, up to one that waits for a person, and predict that of the others."""
        end, reason = self._find_block(job_id, parts)
        going = [post for post in parts[:end] if post.status == PublicationStatus.WAITING]
        series = _Series(order, deque(going), has_started=len(going) < end, place=place)
        self._line_up(series)
        for post in parts[end:]:
            if post.status == PublicationStatus.WAITING:
                self._add_prediction(post, None, _decision(post) or reason)
        return series

    def _find_block(self, job_id: str, parts: Sequence[OpenPost]) -> tuple[int, WaitsFor]:
        """Return how many parts wait for no person, and what those after them wait for."""
        cause = self._queue.held_after.get(job_id, math.inf)
        for index, post in enumerate(parts):
            if post.segment_number > cause or post.status == PublicationStatus.OUTCOME_UNKNOWN or _decision(post):
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
        if first.publish_now_at is not None:
            series.publish_after = rendered_at
            insort(self._wanted_now, series, key=lambda one: (one.parts[0].publish_now_at, one.place))
            return
        series.publish_after = max(times, default=None)
        if series.order is None:
            return
        if series.publish_after is None:
            heapq.heappush(self._ready, (series.order, series))
        else:
            heapq.heappush(self._later, (series.publish_after, series.order, series))

    def _reason(self, series: _Series, post: OpenPost, limit: WaitsFor | None) -> WaitsFor:
        if not post.is_rendered:
            return WaitsFor.RENDERING
        if series.has_started and not (limit is WaitsFor.OWN_TIME and post.own_publish_after is not None):
            return WaitsFor.EARLIER_PART
        return limit or WaitsFor.NEXT

    def _add_prediction(self, post: OpenPost, at: datetime | None, reason: WaitsFor) -> None:
        ends_at = None if at is None else at + timedelta(seconds=self._queue.post_s)
        self._found.append(
            (post.id, Prediction(at, reason, post.job_id, post.segment_id, ends_at, self._queue.owner_id))
        )


def _decision(post: OpenPost) -> WaitsFor | None:
    """Return which decision of a person a part waits for; None if it waits for none."""
    if post.status != PublicationStatus.WAITING:
        return None
    if post.needs_approval:
        return WaitsFor.APPROVAL
    return WaitsFor.HOLD if post.held else None
