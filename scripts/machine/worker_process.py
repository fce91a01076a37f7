"""The process of a worker service: workers of Dramatiq in one process, without the second one of Dramatiq's command."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping

from dramatiq import Worker

from broker import MessageBroker
from scripts.machine.work_queue import WorkQueue

STEP_S = 1.0  # the main thread must wake up to run the handler of a signal that another thread has taken


def start_workers(broker: MessageBroker, threads: Mapping[str, int]) -> list[Worker]:
    """Start a worker for each of the queues.

    Args:
        broker: of the messages.
        threads: their number by queue. No queue takes the threads of another.
    """
    workers = [Worker(broker, queues={queue}, worker_threads=count) for queue, count in threads.items()]
    for worker in workers:
        worker.work_queue = WorkQueue()
        worker.start()
    return workers


def stop_workers(workers: list[Worker]) -> None:
    """Stop workers at the same time, each when its threads have ended what they have begun."""
    stops = [threading.Thread(target=worker.stop) for worker in workers]
    for stop in stops:
        stop.start()
    for worker in workers:
        assert isinstance(worker.work_queue, WorkQueue)
        worker.work_queue.stop_waiting()
    for stop in stops:
        stop.join()


def run(threads: Mapping[str, int], *, turn: Callable[[], None] = lambda: None) -> None:
    """Run workers until SIGTERM, SIGINT or SIGHUP; a second signal ends the process at once.

    Args:
        threads: as of `start_workers`.
        turn: called in this thread each second and at the beginning of each minute. Its error ends the process.
    """
    from actors import local_clean_up  # noqa: PLC0415 (as the next one)
    from actors.wiring import machine  # noqa: PLC0415 (opens files)
    from actors.worker import broker  # noqa: PLC0415 (sets up the process: its log, and what others may read of it)

    asked = threading.Event()

    def on_signal(*_: object) -> None:
        if asked.is_set():
            sys.exit(1)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    # Dramatiq warns of a second worker, whose middleware has the type of the first one's.
    logger = logging.getLogger(f"dramatiq.broker.{type(broker).__name__}")
    logger.addFilter(lambda record: "same type twice" not in record.msg)
    broker.emit_after("process_boot")
    workers = start_workers(broker, threads)
    try:
        with local_clean_up.in_background(machine):
            while not asked.wait(min(STEP_S, 60 - time.time() % 60)):
                turn()
    finally:
        stop_workers(workers)
        broker.close()
        machine.store.close()
