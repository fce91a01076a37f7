"""`python -m scripts.machine.scheduler`: periodiq sends the ticks, and a thread beside it carries them out.

In one process with one thread of their own, ticks are never behind anything slow (periodiq drops those that are 30
seconds late), and cost no process of their own.
"""

import signal
import sys

from dramatiq import Worker
from periodiq import entrypoint

from actors.database_check import require_database
from actors.wiring import machine
from actors.worker import broker

if __name__ == "__main__":
    require_database(machine.store)
    # periodiq leaves SIGTERM alone, which would end the process in the middle of a tick.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ticks = Worker(broker, queues={"ticks"}, worker_threads=1)
    ticks.start()
    try:
        entrypoint()
    finally:
        ticks.stop()
        broker.close()
