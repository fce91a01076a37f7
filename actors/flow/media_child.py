"""Runs the child processes of media work, within the memory that this machine has for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from actors import machine_memory
from actors.machine import Machine
from media.process import runner
from settings import Settings

WORKER_BYTES = 20 * 2**20  # measured: a media worker without its child
OTHERS_BYTES = 150 * 2**20  # all services, measured at rest and rounded up
FILE_PAGES_BYTES = 40 * 2**20  # of libraries and the video: with less, they are read again and again
GROWTH_BYTES = 16 * 2**20  # of the other services while a child runs
ENOUGH_BYTES = 216 * 2**20  # for full HD with gaze correction, measured: 209
SETTLE_CHECKS, SETTLE_S = 10, 0.2
MIN_CHILD_BYTES = 200 * 2**20  # with less, no video can be decoded and encoded


def run(
    machine: Machine,
    stage: str,
    arguments: Sequence[str],
    *,
    deadline_s: float,
    cpu_s: float | None = None,
    outputs: Sequence[Path] = (),
    source: runner.PartialSource | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # Any: the stage's JSON
    """Run one media stage in a child process and return its result.

    Args:
        machine: for the memory limit, and for its stop event.
        stage: name of a module in `media`, such as "gaze".
        arguments: of its command line.
        deadline_s: seconds after which the child is killed.
        cpu_s: CPU seconds after which it is killed, by default those of the deadline on all cores.
        outputs: those of the arguments that are files to write.
        source: of which blocks may be missing; one of the arguments is its name.
        on_progress: called with the share done, 0 to 1.
        stop: asked several times a second; True ends the child.

    Raises:
        media.process.runner.ChildError: see there; `Stopped` also if this worker is asked to stop.
        files.errors.FilesError: a block of the source cannot be fetched.
    """
    try:
        return runner.run(
            stage,
            arguments,
            deadline_s=deadline_s,
            cpu_s=cpu_s,
            outputs=outputs,
            source=source,
            memory_bytes=settled_budget_bytes(machine.settings),
            on_progress=on_progress,
            stop=lambda: machine.stopping.is_set() or machine.lost_leases.has_current() or stop(),
        )
    except (runner.ChildFailed, runner.OutOfMemory) as lost:
        if not machine.stopping.is_set() and not machine.lost_leases.has_current():
            raise
        raise runner.Stopped("ended together with its worker") from lost  # a stop of the machine may signal both


def sandbox_report() -> dict[str, Any]:  # Any: JSON
    """Return whether media children can run here (`ok`), and what their sandbox lacks (`detail`)."""
    return runner.sandbox_report()


def settled_budget_bytes(
    settings: Settings, root: Path = Path("/"), sleep: Callable[[float], None] = time.sleep
) -> int:
    """Return the memory limit of a media child, after a wait for the memory of one that has just ended.

    The kernel frees the memory of a process later than its end is seen if anything reads its figures in /proc, such as
    a monitor. Measured 2026-11-29: 78 MiB were still counted, for which the next part would be rendered in 720p.

    Args:
        settings: as of `budget_bytes`.
        root: likewise.
        sleep: waits for so many seconds.
    """
    for _ in range(SETTLE_CHECKS):
        if (budget := budget_bytes(settings, root)) >= ENOUGH_BYTES or settings.worker_memory_mb is not None:
            return budget
        sleep(SETTLE_S)
    return budget_bytes(settings, root)


def budget_bytes(settings: Settings, root: Path = Path("/")) -> int:
    """Return the memory limit of a media child that is started now.

    WORKER_MEMORY_MB without the worker's own part; by default what the machine has left at this moment, without the
    pages of files that the child needs again and again. Of several children, each has an equal share.

    Args:
        settings: with the number of children.
        root: of the file systems proc and sys.
    """
    if settings.worker_memory_mb is not None:
        return max(MIN_CHILD_BYTES, settings.worker_memory_mb * 10**6 - WORKER_BYTES)
    left = machine_memory.free_bytes(root) - FILE_PAGES_BYTES - GROWTH_BYTES
    if settings.worker_concurrency > 1:  # what other children hold now says little about what they will hold
        share = (machine_memory.limit_bytes(root) - OTHERS_BYTES) // settings.worker_concurrency
        left = min(left, share - FILE_PAGES_BYTES - GROWTH_BYTES)
    return max(MIN_CHILD_BYTES, left)
