"""`python -m scripts.machine.scheduler`: periodiq sends the ticks, and a thread of the same process runs them.

Ticks have a queue and a thread of their own, because a tick behind slow work would be late, and periodiq drops ticks
that are 30 seconds late. A thread needs less memory than another process.
"""

import signal
import sys

from dramatiq import Worker
from periodiq import entrypoint

from actors.database_check import require_database
from actors.wiring import machine
from actors.worker import broker

if __name__ == "__main__":
    require_database(machine.store, machine.sealer)
    # periodiq does not handle SIGTERM, whose default would end the process in the middle of a tick.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ticks = Worker(broker, queues={"ticks"}, worker_threads=1)
    ticks.start()
    try:
        entrypoint()
    finally:
        ticks.stop()
        broker.close()
