"""Histograms of the wall time of stages: of planning and rendering, publishing, and attempts at webhook deliveries.

An observation is stored in the transaction that ends the stage, so that it is counted exactly once, whichever process
did the work, and also after a restart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from store import rows
from store.locks import is_shared
from store.tables import stage_durations

PLAN, RENDER, WEBHOOK_ATTEMPT = "plan", "render", "webhook_attempt"
BUCKETS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 150.0, 300.0, 600.0, 1800.0, 3600.0, math.inf)
"""Upper bounds: webhook receivers answer in tenths of a second, rendering takes minutes, a slow platform an hour."""


@dataclass(frozen=True)
class Histogram:
    """The durations of one stage.

    Attributes:
        buckets: by upper bound in seconds, rising: how many durations were not longer.
        sum_s: of all durations.
    """

    buckets: Mapping[float, int]
    sum_s: float


def publishing(platform: str) -> str:
    """Return the stage of publishing on a platform: from its start to its end, with all waits for the platform."""
    return f"publish_{platform}"


def observe(connection: Connection, stage: str, duration_s: float) -> None:
    """Count an execution of a stage.

    Args:
        connection: inside `Store.writing`.
        stage: of this module.
        duration_s: negative if the clock was set back meanwhile: counted as 0.
    """
    duration_s = max(0.0, duration_s)
    bucket = {"stage": stage, "le_s": next(bound for bound in BUCKETS_S if duration_s <= bound)}
    values = {**bucket, "observations": 1, "sum_s": duration_s}
    if is_shared(connection):  # a row for each: transactions that count one row up would wait for each other
        connection.execute(stage_durations.insert().values(**values))
        return
    total = stage_durations.c
    added = {"observations": total.observations + 1, "sum_s": total.sum_s + duration_s}
    rows.upsert(connection, stage_durations, values, added)


def compact(connection: Connection) -> None:
    """Add the rows of each bucket up, where there is one for each observation; as `row_counts.compact`."""
    if not is_shared(connection):
        return
    gone = delete(stage_durations).returning(*stage_durations.c).cte("gone")
    sums = select(gone.c.stage, gone.c.le_s, rows.total(gone.c.observations), rows.total(gone.c.sum_s))
    names = ["stage", "le_s", "observations", "sum_s"]
    connection.execute(insert(stage_durations).from_select(names, sums.group_by(gone.c.stage, gone.c.le_s)))


def observe_since(connection: Connection, stage: str, started_at: datetime | None, now: datetime) -> None:
    """Count an execution of a stage that ends now; nothing if its start is not known."""
    if started_at is not None:
        observe(connection, stage, (now - started_at).total_seconds())


def histograms(connection: Connection) -> dict[str, Histogram]:
    """Return the histogram of each stage that has ended once at least."""
    counts: dict[str, dict[float, int]] = defaultdict(dict)
    sums_s: dict[str, float] = defaultdict(float)
    for stage, bound_s, observations, sum_s in connection.execute(select(stage_durations)):
        counts[stage][bound_s] = counts[stage].get(bound_s, 0) + observations
        sums_s[stage] += sum_s
    return {
        stage: Histogram(
            {bound: sum(count for le_s, count in found.items() if le_s <= bound) for bound in BUCKETS_S}, sums_s[stage]
        )
        for stage, found in sorted(counts.items())
    }
