"""Another Python process on the test's file, and exceptions raised into a thread that waits for that file."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import psycopg
from dramatiq.threading import Interrupt, raise_thread_exception

from broker import WriteLock
from broker.debug import awaits_notification, is_blocked
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]

T = TypeVar("T")


class OtherProcess:
    """A running program."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen

    def line(self) -> str:
        """Return the next line that it prints, without its end; empty when there will be none."""
        return _present(self.popen.stdout).readline().rstrip("\n")

    def tell(self, line: str = "") -> None:
        """Write a line to its standard input."""
        _present(self.popen.stdin).write(f"{line}\n")
        _present(self.popen.stdin).flush()


@contextmanager
def other_process(program: str, place: str) -> Iterator[OtherProcess]:
    """Run a program that finds the file or URL in `place`, and both backends of its kind; killed in the end."""
    package, kind = ("broker.postgresql", "Postgresql") if place.startswith("postgresql:") else ("broker", "Sqlite")
    prelude = (
        f"from {package} import {kind}RateLimiterBackend as RateLimiterBackend, {kind}ResultBackend as ResultBackend\n"
        "from tests.broker.other_process import announced\n"
        f"import sys, time\nplace = {place!r}\n"
    )
    popen = subprocess.Popen(
        [sys.executable, "-c", prelude + textwrap.dedent(program)],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with popen:
        try:
            yield OtherProcess(popen)
        finally:
            if popen.poll() is None:
                popen.kill()


def announced(work: Callable[[], T]) -> T:
    """Do work on a thread, print "waiting" once it waits for a notification, and return its result."""
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(threading.current_thread).result()
        future = pool.submit(work)
        wait_for(lambda: awaits_notification(thread) or future.done(), "a thread that waits")
        print("waiting")  # noqa: T201  # for `OtherProcess.line`
        return future.result()


def interrupted(place: str, work: Callable[[], object]) -> bool:
    """Run it on a thread, raise an exception into that while it waits for others; True if it came out in the end."""
    came_out = threading.Event()

    def run() -> None:
        try:
            work()
        except Interrupt:
            came_out.set()

    thread = threading.Thread(target=run)
    with _tables_locked(place):
        thread.start()
        wait_for(lambda: is_blocked(thread), "a thread that waits for its write request")
        raise_thread_exception(thread.ident, Interrupt)  # type: ignore[no-untyped-call]  # dramatiq's
    thread.join(10)
    assert not thread.is_alive()
    return came_out.is_set()


@contextmanager
def _tables_locked(place: str) -> Iterator[None]:
    if place.startswith("postgresql:"):
        with psycopg.connect(place) as connection:
            connection.execute("LOCK TABLE broker_counters, broker_results")
            yield
    else:
        with WriteLock(place):
            yield


def _present(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
