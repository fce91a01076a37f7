"""A worker process of the benchmark: `python -m scripts.benchmarks.broker.worker TARGET RUN_LOG CAPACITY`.

Prints "ready", waits for a line, starts Dramatiq's Worker with 8 threads, prints the time, and stops on SIGTERM.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path

from dramatiq import Worker

from scripts.benchmarks.broker.run_log import RunLog
from scripts.benchmarks.broker.target import Target, declare_job

THREADS = 8


def main() -> None:
    """Process messages until SIGTERM."""
    target_json, run_log, capacity = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # inherited by all threads: only sigwait gets it
    target = Target.from_json(target_json)
    broker = target.broker()
    declare_job(broker, target.queue, RunLog(Path(run_log), int(capacity)))
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
