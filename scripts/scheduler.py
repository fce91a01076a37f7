"""`python -m scripts.scheduler`: periodiq sends the ticks, and a thread beside it carries them out.

In one process with one thread of their own, ticks are never behind anything slow (periodiq drops those that are 30
seconds late), and cost no process of their own.
"""

from dramatiq import Worker
from periodiq import entrypoint

from actors.worker import broker

if __name__ == "__main__":
    ticks = Worker(broker, queues={"ticks"}, worker_threads=1)
    ticks.start()
    try:
        entrypoint()
    finally:
        ticks.stop()
