"""A producer process of the benchmark: `python -m scripts.benchmarks.broker.producer TARGET HOW COUNT SLEEP_MS`.

Prints "ready", waits for a line, sends, and prints when it began and ended and the duration of its slowest call. HOW is
`burst` (as fast as it can, one by one), `paced` (one every 5 to 50 ms) or `fill` (the fastest way of the broker).
"""

from __future__ import annotations

import logging
import random
import sys
import time

from dramatiq.broker import Broker

from scripts.benchmarks.broker.target import Actor, Target, declare_job, fill

PAUSE_S = (0.005, 0.05)


def main() -> None:
    """Send the messages that the arguments describe."""
    target_json, how, count, sleep_ms = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)
    target = Target.from_json(target_json)
    broker = target.broker()
    job = declare_job(broker, target.queue)
    print("ready", flush=True)
    sys.stdin.readline()
    begun_ns = time.monotonic_ns()
    longest_ns = _send(broker, job, how, int(count), int(sleep_ms))
    print(begun_ns, time.monotonic_ns(), longest_ns, flush=True)
    broker.close()


def _send(broker: Broker, job: Actor, how: str, count: int, sleep_ms: int) -> int:
    """Send; return the duration of the slowest call in nanoseconds."""
    if how == "fill":
        fill(broker, job, count, sleep_ms)
        return 0
    longest_ns = 0
    for number in range(count):
        if how == "paced":
            time.sleep(random.uniform(*PAUSE_S))  # noqa: S311  # not a secret; avoids a fixed rhythm
        begun_ns = time.monotonic_ns()
        job.send(number, begun_ns, sleep_ms)
        longest_ns = max(longest_ns, time.monotonic_ns() - begun_ns)
    return longest_ns


if __name__ == "__main__":
    main()
