"""What the machine itself can do, as a reference: commits of one row, and Dramatiq without any broker behind it."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from dramatiq import Worker
from dramatiq.brokers.stub import StubBroker

from scripts.benchmarks.broker.run_log import Tally, runs
from scripts.benchmarks.broker.target import declared_job
from scripts.benchmarks.broker.worker import THREADS

__all__ = ["in_memory_rate", "one_row_commits"]

ROW = b"x" * 330  # about what a message takes


def one_row_commits(home: Path, synchronous: str, duration_s: float) -> float:
    """Return how often a second one process can insert one row and commit."""
    path = home / f"limit-{synchronous}-{time.monotonic_ns()}.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
    commits, begun_s = 0, time.monotonic()
    while time.monotonic() - begun_s < duration_s:
        connection.execute("INSERT INTO rows (body) VALUES (?)", (ROW,))
        commits += 1
    rate = commits / (time.monotonic() - begun_s)
    connection.close()
    return rate


def in_memory_rate(home: Path, messages: int) -> float:
    """Return how many no-op messages a second one process with 8 threads works off from Dramatiq's StubBroker."""
    tally = home / f"limit-{time.monotonic_ns()}"
    broker = StubBroker()
    job = declared_job(broker, "limit", Tally(tally, messages))
    for number in range(messages):
        job.send(number, 0, 0)
    worker = Worker(broker, worker_threads=THREADS)
    begun_ns = time.monotonic_ns()
    worker.start()
    broker.join("limit")
    worker.stop()
    broker.close()
    return messages / (max(run.ended_ns for run in runs(tally)) - begun_ns) * 1e9
