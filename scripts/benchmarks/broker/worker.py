"""A worker process of a bench: `python -m scripts.benchmarks.broker.worker PLACE TALLY CAPACITY`.

Says "ready", waits for a line, starts Dramatiq's Worker with 8 threads, says when, and stops on SIGTERM.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path

from dramatiq import Worker

from scripts.benchmarks.broker.run_log import Tally
from scripts.benchmarks.broker.target import Place, declared_job

THREADS = 8


def main() -> None:
    """Work until told to stop."""
    told, tally, capacity = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # inherited by all threads: only sigwait gets it
    place = Place.of(told)
    broker = place.broker()
    declared_job(broker, place.queue, Tally(Path(tally), int(capacity)))
    worker = Worker(broker, worker_threads=THREADS)
    print("ready", flush=True)
    sys.stdin.readline()
    started_ns = time.monotonic_ns()
    worker.start()
    print(started_ns, flush=True)
    signal.sigwait({signal.SIGTERM})
    worker.stop()
    broker.close()


if __name__ == "__main__":
    main()
