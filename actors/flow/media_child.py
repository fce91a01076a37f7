"""Runs the child processes of media work, within the memory that this machine has for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from actors.machine import Machine
from media.process import runner
from settings import Settings

WORKER_BYTES = 60 * 2**20  # measured: a media worker without its child
OTHERS_BYTES = 190 * 2**20  # API, scheduler, network worker and the master processes, measured at rest and rounded up
MIN_CHILD_BYTES = 200 * 2**20  # with less, no video can be decoded and encoded


def run(
    machine: Machine,
    stage: str,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    outputs: Sequence[Path] = (),
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # Any: the stage's JSON
    """Run one media stage in a child process and return its result.

    Args:
        machine: for the memory limit, and for its stop event.
        stage: name of a module in `media`, such as "gaze".
        arguments: of its command line.
        deadline_s: seconds after which the child is killed.
        outputs: those of the arguments that are files to write.
        on_progress: called with the share done, 0 to 1.
        stop: asked several times a second; True ends the child.

    Raises:
        media.process.runner.ChildError: see there; `Stopped` also if this worker is asked to stop.
    """
    try:
        return runner.run(
            stage,
            arguments,
            deadline_s=deadline_s,
            outputs=outputs,
            memory_bytes=budget_bytes(machine.settings),
            on_progress=on_progress,
            stop=lambda: machine.stopping.is_set() or stop(),
        )
    except (runner.ChildFailed, runner.OutOfMemory) as lost:
        if not machine.stopping.is_set():
            raise
        raise runner.Stopped("ended together with its worker") from lost  # a stop of the machine may signal both


def sandbox_report() -> dict[str, Any]:  # Any: JSON
    """Return whether media children can run here (`ok`), and what their sandbox lacks (`detail`)."""
    return runner.sandbox_report()


def budget_bytes(settings: Settings) -> int:
    """Return the memory limit of one media child.

    WORKER_MEMORY_MB without the worker's own part; by default each worker has an equal share of what the machine
    leaves beside the other processes.
    """
    if settings.worker_memory_mb is not None:
        return max(MIN_CHILD_BYTES, settings.worker_memory_mb * 10**6 - WORKER_BYTES)
    share = (machine_bytes() - OTHERS_BYTES) // max(1, settings.worker_concurrency)
    return max(MIN_CHILD_BYTES, share - WORKER_BYTES)


def machine_bytes() -> int:
    """Return the memory of this computer, or the limit of its control group if that is less."""
    total = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return total if text == "max" else min(total, int(text))
