"""Decides how long the rendering of a part may take: until it is needed, as the forecast says.

Quality counts more than minutes: a part that goes out tomorrow gets all the time that one attempt may take. A part that
could go out at once still gets `PATIENCE`, in which a sixteenth of a core corrects and encodes full HD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from actors.flow import forecast, forecast_snapshot
from actors.flow.forecast import Snapshot
from actors.machine import Machine
from store import forecast_rows
from store.segments import Segment

LONGEST_SHARE = 0.8  # of PROCESSING_DEADLINE; the child is killed at its end
# Seconds of rendering for a second of video. Full HD with correction takes 1.1 CPU seconds (measured
# 2026-11-29), so 18 seconds on 6.25 % of a core; the gap between two posts of 60 s is as long as this by default.
PATIENCE = 30.0
SHORTEST_S = 300.0  # for short parts: the child's start takes a second of CPU time by itself


@dataclass(frozen=True, slots=True)
class QueuedPart:
    """A part that waits to be rendered; `needed_at` is None if no time is known at which it could go out."""

    duration_s: float
    needed_at: datetime | None


def of_part(machine: Machine, segment: Segment) -> float:
    """Return for how many seconds a part may be rendered from now on."""
    with machine.store.reading() as connection:
        snapshot = forecast_snapshot.read(machine, connection)
        queue = forecast_rows.unrendered_parts(connection)
        needed = _needed_at(replace(snapshot, rendered_at={part.id: snapshot.now for part in queue}))
    others = [QueuedPart(part.duration or 0.0, needed.get(part.id)) for part in queue if part.id != segment.id]
    own = QueuedPart(segment.duration or 0.0, needed.get(segment.id))
    longest_s = LONGEST_SHARE * machine.settings.processing_deadline
    return deadline_s(snapshot.now, [own, *others], longest_s, workers=max(1, machine.settings.worker_concurrency))


def deadline_s(now: datetime, parts: Sequence[QueuedPart], longest_s: float, *, workers: int = 1) -> float:
    """Return for how many seconds the first part may be rendered, so that it and those after it are there in time.

    The time until a part is needed is shared, in proportion to their durations, by it and all parts before it.

    Args:
        now: an aware time.
        parts: in the order in which they are rendered.
        longest_s: the result is not more.
        workers: that render parts at the same time.
    """
    own_s = max(parts[0].duration_s, 1.0)
    work_s, allowed_s = 0.0, longest_s
    for part in parts:
        work_s += max(part.duration_s, 1.0)
        if part.needed_at is not None:
            share = own_s / max(own_s, work_s / workers)
            allowed_s = min(allowed_s, share * (part.needed_at - now).total_seconds())
    return min(longest_s, max(allowed_s, SHORTEST_S, PATIENCE * own_s))


def _needed_at(snapshot: Snapshot) -> Mapping[str, datetime]:
    """Return when the first publication of each part would start if all parts were rendered now, by segment."""
    needed: dict[str, datetime] = {}
    for prediction in forecast.predict(snapshot).values():
        if prediction.at is not None:
            known = needed.get(prediction.segment_id, prediction.at)
            needed[prediction.segment_id] = min(known, prediction.at)
    return needed
