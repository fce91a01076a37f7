"""A sending process of a bench: `python -m scripts.benchmarks.broker.producer PLACE HOW COUNT NAP_MS`.

Says "ready", waits for a line, sends, and says when it began and ended and how long its slowest call took. HOW is
`burst` (as fast as it can, one by one), `paced` (one every 5 to 50 ms) or `fill` (by the broker's quickest way).
"""

from __future__ import annotations

import logging
import random
import sys
import time

from dramatiq.broker import Broker

from scripts.benchmarks.broker.target import Actor, Place, declared_job, fill

PAUSE_S = (0.005, 0.05)


def main() -> None:
    """Send what was asked for."""
    told, how, count, nap_ms = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    place = Place.of(told)
    broker = place.broker()
    job = declared_job(broker, place.queue)
    print("ready", flush=True)
    sys.stdin.readline()
    begun_ns = time.monotonic_ns()
    longest_ns = _send(broker, job, how, int(count), int(nap_ms))
    print(begun_ns, time.monotonic_ns(), longest_ns, flush=True)
    broker.close()


def _send(broker: Broker, job: Actor, how: str, count: int, nap_ms: int) -> int:
    """Send; returns how long the slowest of the single calls took, nanoseconds."""
    if how == "fill":
        fill(broker, job, count, nap_ms)
        return 0
    longest_ns = 0
    for number in range(count):
        if how == "paced":
            time.sleep(random.uniform(*PAUSE_S))  # noqa: S311  # not a secret: only not in step with anything
        begun_ns = time.monotonic_ns()
        job.send(number, begun_ns, nap_ms)
        longest_ns = max(longest_ns, time.monotonic_ns() - begun_ns)
    return longest_ns


if __name__ == "__main__":
    main()
