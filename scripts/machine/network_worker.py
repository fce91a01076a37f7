"""`python -m scripts.machine.network_worker`: the work that mostly waits for others: platforms, webhooks, deletion.

One process, because each costs about 50 MB, with three workers, so that none of the queues takes the threads of
another: receivers of webhooks that do not answer delay neither publications nor the other receivers.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from dramatiq import Worker

from actors.wiring import machine
from broker import SqliteBroker

# Threads by queue. Publications: one at a time for each account. Webhooks: one thread for each endpoint that is in
# flight; ten that begin to hang at the same moment leave six to the others. Afterwards they share the slow ones.
THREADS = {"network": 8, "webhooks": 16, "webhooks_slow": 4}

SIGNAL_STEP_S = 1.0  # the main thread must wake up to run the handler of a signal that another thread has taken


def start_workers(broker: SqliteBroker) -> list[Worker]:
    """Start a worker for each of the queues."""
    workers = [Worker(broker, queues={queue}, worker_threads=threads) for queue, threads in THREADS.items()]
    for worker in workers:
        worker.start()
    return workers


def stop_workers(workers: list[Worker]) -> None:
    """Stop workers at the same time, each when its threads have ended what they have begun."""
    stops = [threading.Thread(target=worker.stop) for worker in workers]
    for stop in stops:
        stop.start()
    for stop in stops:
        stop.join()


def main() -> None:
    """Run until SIGTERM, SIGINT or SIGHUP; a second signal ends the process at once."""
    from actors.worker import broker  # noqa: PLC0415 (sets up the process: its log, and what others may read of it)

    asked = threading.Event()

    def on_signal(*_: object) -> None:
        if asked.is_set():
            sys.exit(1)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    # Dramatiq warns of a second worker, whose middleware has the type of the first one's.
    logging.getLogger("dramatiq.broker.SqliteBroker").addFilter(lambda record: "same type twice" not in record.msg)
    broker.emit_after("process_boot")
    workers = start_workers(broker)
    while not asked.wait(SIGNAL_STEP_S):
        pass
    stop_workers(workers)
    broker.close()
    machine.store.close()


if __name__ == "__main__":
    main()
