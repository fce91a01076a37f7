"""An application for worker processes of the tests, `dramatiq tests.broker.app`; the environment names its file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dramatiq
from periodiq import PeriodiqMiddleware, cron

from broker import SqliteBroker

QUEUE_FILE = Path(os.environ["BROKER_TEST_FILE"])
JOURNAL = QUEUE_FILE.with_suffix(".journal")

broker = SqliteBroker(QUEUE_FILE, lease_s=float(os.environ.get("BROKER_TEST_LEASE_S", "60")))
broker.add_middleware(PeriodiqMiddleware(skip_delay=30))
dramatiq.set_broker(broker)


def note(line: str) -> None:
    """Append a line in one write, so that processes do not mix theirs."""
    fd = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, f"{line}\n".encode())
    finally:
        os.close(fd)


@dramatiq.actor
def work(number: int, seconds: float = 0.0) -> None:
    """Take a while, and say so."""
    note(f"begin {number} {os.getpid()}")
    time.sleep(seconds)
    note(f"end {number} {os.getpid()}")


@dramatiq.actor(queue_name="ticks", periodic=cron("* * * * *"))
def tick() -> None:
    """Tick."""
    note("tick 0 0")
