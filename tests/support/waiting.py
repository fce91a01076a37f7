"""Waiting for a condition instead of for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["TIMEOUT_S", "wait_for"]

TIMEOUT_S = 60.0  # far more than anything takes on a busy machine: only a failing test waits so long


def wait_for(
    condition: Callable[[], object],
    what: str = "the condition",
    timeout_s: float = TIMEOUT_S,
    *,
    interval_s: float = 0.02,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Block until a condition is true; fail the test when the timeout is over.

    Args:
        condition: evaluated again and again.
        what: named by the failure.
        timeout_s: for how long.
        interval_s: between two evaluations.
        meanwhile: called before each of these pauses.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain for {what}"
        if meanwhile is not None:
            meanwhile()
        time.sleep(interval_s)
