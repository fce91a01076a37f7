"""The rows of CPU time in the table of all benchmarks: the project's sample in full HD, on one core."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.cpu import __main__ as command
from scripts.benchmarks.cpu.machines import HOUR_S, MACHINES
from scripts.benchmarks.summary.row import Line, Row

__all__ = ["rows"]

SECONDS = 6.0
BASELINE = "corrected"


def rows(folder: Path) -> Iterator[Line]:
    """Compare the ways of rendering, and tell how long an hour of video takes on the smallest machine of Fly.io."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    source, _ = command.sources(None, SECONDS, folder).values()
    costs = command.way_costs(source, 1, folder)
    for name, _, _ in command.WAYS:
        if name != BASELINE:
            yield Row(f"CPU for a second of full HD, {name}", costs[name], "s", BASELINE, costs[BASELINE])
    small = MACHINES[0]
    hour_s = (costs[BASELINE] + costs[command.EXAMINE]) * HOUR_S
    rested = small.hours(hour_s, rested=True)
    yield Row(f"an hour of full HD on Fly.io's {small.name}, computed", small.hours(hour_s), "h", "rested", rested)
