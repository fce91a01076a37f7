"""Ends media children when their worker is asked to stop, so that a graceful stop takes a moment and not an hour."""

from __future__ import annotations

import threading

import dramatiq
from dramatiq.worker import Worker

stopping = threading.Event()
"""Set once this worker process is asked to stop; handed to `media.process.runner.run`."""


class StopChildren(dramatiq.Middleware):
    """Tells the waits of this process that it is time to go."""

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """Let every running child be ended; its message is sent again."""
        del broker, worker
        stopping.set()

    def before_worker_boot(self, broker: dramatiq.Broker, worker: Worker) -> None:
        """Forget an earlier stop: tests start several workers in one process."""
        del broker, worker
        stopping.clear()
