"""Limits of the machine, as a reference: commits of one row, and Dramatiq with its broker in memory."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from dramatiq import Worker
from dramatiq.brokers.stub import StubBroker

from scripts.benchmarks.broker.run_log import RunLog, runs
from scripts.benchmarks.broker.target import declare_job
from scripts.benchmarks.broker.worker import THREADS

__all__ = ["in_memory_rate", "one_row_commits"]

ROW = b"x" * 330  # bytes, about the size of a message


def one_row_commits(directory: Path, synchronous: str, duration_s: float) -> float:
    """Return the number of one-row transactions per second of one process."""
    path = directory / f"limit-{synchronous}-{time.monotonic_ns()}.sqlite3"
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


def in_memory_rate(directory: Path, messages: int) -> float:
    """Return the no-op messages per second that one process with 8 threads takes from Dramatiq's StubBroker."""
    run_log = directory / f"limit-{time.monotonic_ns()}"
    broker = StubBroker()
    job = declare_job(broker, "limit", RunLog(run_log, messages))
    for number in range(messages):
        job.send(number, 0, 0)
    worker = Worker(broker, worker_threads=THREADS)
    begun_ns = time.monotonic_ns()
    worker.start()
    broker.join("limit")
    worker.stop()
    broker.close()
    return messages / (max(run.ended_ns for run in runs(run_log)) - begun_ns) * 1e9
