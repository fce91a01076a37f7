"""Keeps the forecast of a process until something is committed to the database."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from actors.flow import forecast, forecast_snapshot
from actors.flow.forecast import Prediction
from actors.machine import Machine

REUSED_FOR = timedelta(seconds=10)  # by then the clock alone has moved what starts as soon as possible


@dataclass(frozen=True)
class JobForecast:
    """The first and the last predicted start of a job's waiting publications, and how many have a time."""

    next_at: datetime
    last_at: datetime
    count: int


@dataclass(frozen=True)
class Forecast:
    """The predictions of waiting publications.

    Attributes:
        made_at: when.
        posts: by id; what is missing has no turn before it expires, or waits for its account.
        jobs: by id; only those of which a publication has a time.
    """

    made_at: datetime
    posts: Mapping[str, Prediction]
    jobs: Mapping[str, JobForecast]


class ForecastCache:
    """The newest forecast; made again after each commit of any process, at the latest after `REUSED_FOR`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._newest = Forecast(datetime.min.replace(tzinfo=UTC), {}, {})

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


def _make(machine: Machine) -> Forecast:
    with machine.store.reading() as connection:
        snapshot = forecast_snapshot.read(machine, connection)
        posts = forecast.predict(snapshot)
    times: dict[str, list[datetime]] = defaultdict(list)
    for prediction in posts.values():
        if prediction.at is not None:
            times[prediction.job_id].append(prediction.at)
    jobs = {job_id: JobForecast(min(found), max(found), len(found)) for job_id, found in times.items()}
    return Forecast(snapshot.now, posts, jobs)
