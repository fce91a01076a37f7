"""Ends running media children when their worker is asked to stop."""

from __future__ import annotations

import threading

import dramatiq
from dramatiq.worker import Worker


class StopChildren(dramatiq.Middleware):
    """Dramatiq middleware that sets an event when the worker stops: running media children end at once.

    Without it, a graceful stop would wait for the running rendering, which may take an hour.

    Args:
        stopping: `Machine.stopping`, which the runner of media children watches.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """End every running child; its actor sends its message again."""
        del broker, worker
        self._stopping.set()

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """Clear an earlier stop: tests start several workers in one process."""
        del broker, worker
        self._stopping.clear()
