"""How media work is asked for and carried out: the messages, the child, and one more try without gaze correction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from loguru import logger

from actors import wiring
from actors.children import stopping
from actors.memory import child_budget_bytes
from media import runner
from store.jobs import Job
from store.segments import Segment

# Splits go before parts, and part n of every job before part n + 1 of any: one long talk does not starve the others.
SPLIT_PRIORITY = 1

LOST: dict[type[runner.ChildError], str] = {
    runner.OutOfMemory: "out_of_memory",
    runner.DeadlinePassed: "deadline_passed",
    runner.ChildDied: "crashed",
}
"""Why a child is run once more without gaze correction, by the codes that the outside sees."""


def send_split(job_id: str) -> None:
    """Ask for a job to be planned."""
    wiring.send("split", job_id, priority=SPLIT_PRIORITY)


def send_gaze(segment: Segment) -> None:
    """Ask for a part to be rendered."""
    wiring.send("gaze", segment.id, priority=-segment.segment_number)


def run_child(
    stage: str,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    on_progress: Callable[[float], None] | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:  # Any: the stage's JSON
    """Run one media stage in a child process within this machine's memory.

    Raises:
        media.runner.ChildError: see there; `Stopped` also when this worker is asked to stop.
    """
    return runner.run(
        stage,
        arguments,
        deadline_s=deadline_s,
        memory_bytes=child_budget_bytes(wiring.settings),
        on_progress=on_progress,
        stop=stop or stopping,
    )


def with_gaze_or_without(run: Callable[[float], dict[str, Any]], job: Job) -> tuple[dict[str, Any], str | None]:
    """Run a child with the job's gaze intensity and, if it is lost, once more without gaze correction.

    Args:
        run: runs the child with the given intensity, 0 to 1.
        job: says how much gaze correction is wanted.

    Returns:
        The child's result, and the code of what made it do without (None: nothing did).

    Raises:
        media.runner.ChildError: the second child was lost, too, or the video was refused, or we are to stop.
    """
    try:
        return run(job.gaze_intensity), None
    except (runner.OutOfMemory, runner.DeadlinePassed, runner.ChildDied) as lost:
        if job.gaze_intensity == 0:
            raise
        reason = LOST[type(lost)]
        logger.warning(
            "job {}: a media child was lost ({}), once more without gaze correction: {}", job.id, reason, lost
        )
        return run(0.0), reason
