"""Sends the messages for media work and runs its child processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from actors.flow.child_memory import child_budget_bytes
from actors.machine import Machine
from media.process import runner
from store.segments import Segment

# Splits go before parts, and part n of every job before part n + 1 of any: one long talk does not starve the others.
SPLIT_PRIORITY = 1


def send_split(machine: Machine, job_id: str) -> None:
    """Ask for a job to be planned."""
    machine.send("split", job_id, priority=SPLIT_PRIORITY)


def send_gaze(machine: Machine, segment: Segment) -> None:
    """Ask for a part to be rendered."""
    machine.send("gaze", segment.id, priority=-segment.segment_number)


def run_child(
    machine: Machine,
    stage: str,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    on_progress: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:  # Any: the stage's JSON
    """Run one media stage in a child process within this machine's memory.

    Raises:
        media.process.runner.ChildError: see there; `Stopped` also when this worker is asked to stop.
    """
    try:
        return runner.run(
            stage,
            arguments,
            deadline_s=deadline_s,
            memory_bytes=child_budget_bytes(machine.settings),
            on_progress=on_progress,
            stop=stop or machine.stopping,
        )
    except (runner.ChildDied, runner.OutOfMemory) as lost:
        if not machine.stopping.is_set():
            raise
        raise runner.Stopped("ended together with its worker") from lost  # a stop of the machine may signal both
