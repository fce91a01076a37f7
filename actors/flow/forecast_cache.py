"""Keeps the forecast of a process until something is committed to the database."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from actors.flow import forecast, forecast_snapshot
from actors.flow.expected_posts import ExpectedJob, is_expected
from actors.flow.forecast import Prediction, Snapshot
from actors.machine import Machine
from store.jobs import Job
from store.states import AllOutReason, WaitsFor

REUSED_FOR = timedelta(seconds=10)  # by then the clock alone has moved what starts as soon as possible


@dataclass(frozen=True)
class JobForecast:
    """The predictions of a job's waiting publications that have a time.

    Attributes:
        next_at: the first start.
        last_at: the last start.
        ends_at: when the last one has ended.
        count: their number.
    """

    next_at: datetime
    last_at: datetime
    ends_at: datetime
    count: int


@dataclass(frozen=True)
class AllOut:
    """When all parts of a job are published, or why nobody can know; both None: nothing waits."""

    at: datetime | None = None
    reason: WaitsFor | AllOutReason | None = None


@dataclass(frozen=True)
class Forecast:
    """The predictions of waiting publications.

    Attributes:
        made_at: when.
        posts: by id; what is missing has no turn before it expires, or waits for its account.
        jobs: by id; only those of which a publication has a time.
        expected: of the jobs that are not planned yet, but whose duration is stated, by id.
    """

    made_at: datetime
    posts: Mapping[str, Prediction]
    jobs: Mapping[str, JobForecast]
    expected: Mapping[str, AllOut]

    def of_owner(self, owner_id: str) -> Forecast:
        """Return the predictions of an owner's publications."""
        mine = {name: one for name, one in self.posts.items() if one.owner_id == owner_id}
        return replace(self, posts=mine)


class ForecastCache:
    """The newest forecast; made again after each commit of any process, at the latest after `REUSED_FOR`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._newest = Forecast(datetime.min.replace(tzinfo=UTC), {}, {}, {})

    def get(self, machine: Machine) -> Forecast:
        """Return the forecast of the database as it is now. Of several threads that ask at once, one makes it.

        Call it outside of a read transaction: such a snapshot may be older than the version that is looked up here.
        """
        with self._lock:
            version = machine.store.data_version()  # first: a commit in the meantime is noticed by the next call
            is_recent = self._version == version and abs(machine.now() - self._newest.made_at) < REUSED_FOR
            if not is_recent:
                self._newest = _make(machine)
                self._version = version
            return self._newest


def all_out_of_new_job(machine: Machine, job: Job) -> AllOut:
    """Return when all parts of a job that is not stored yet will be published."""
    if job.stated_duration_s is None:
        return AllOut(reason=AllOutReason.NOT_PLANNED_YET)
    return _make(machine, job).expected[job.id]


def _make(machine: Machine, new_job: Job | None = None) -> Forecast:
    with machine.store.reading() as connection:
        snapshot = forecast_snapshot.read(machine, connection, new_job)
        found = forecast.predict(snapshot)
    posts = {name: one for name, one in found.items() if not is_expected(name)}
    expected = [one for name, one in found.items() if is_expected(name)]
    return Forecast(snapshot.now, posts, _by_job(posts.values()), _all_out(snapshot, expected))


def _by_job(predictions: Iterable[Prediction]) -> dict[str, JobForecast]:
    times: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for one in predictions:
        if one.at is not None:
            times[one.job_id].append((one.at, one.ends_at or one.at))
    return {
        job_id: JobForecast(min(spans)[0], max(spans)[0], max(end for _, end in spans), len(spans))
        for job_id, spans in times.items()
    }


def _all_out(snapshot: Snapshot, predictions: Sequence[Prediction]) -> dict[str, AllOut]:
    """Return when all expected posts of the jobs that are not planned yet have ended."""
    blocked = {one.job_id: AllOut(reason=one.waits_for) for one in predictions if one.at is None}
    jobs = _by_job(predictions)
    return {
        job_id: blocked.get(job_id) or _all_out_of_job(expected, jobs.get(job_id))
        for job_id, expected in snapshot.expected.items()
    }


def _all_out_of_job(expected: ExpectedJob, found: JobForecast | None) -> AllOut:
    if not expected.posts:
        return AllOut(reason=AllOutReason.NO_ACCOUNT)
    if expected.is_stopped:
        return AllOut(reason=WaitsFor.ACCOUNT)
    if found is None or found.count < expected.posts:
        return AllOut(reason=AllOutReason.EXPIRES)
    return AllOut(found.ends_at)
