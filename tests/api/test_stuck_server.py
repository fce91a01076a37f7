"""The server notices that its loop or its threads no longer serve anybody; load alone is no reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from waitress import wasyncore

from api.context import Context
from api.server import THREADS, create_server, limit_lock_waits
from api.server.listener import LOOP_TIMEOUT_S, THREADS_TIMEOUT_S, Server
from broker import WriteLock
from tests.api.conftest import AUTH
from tests.support.lock_holder import holding_lock
from tests.support.machine_database import sqlite_path
from tests.support.waiting import wait_for


class Request:
    """A request that keeps its thread until the test lets it end."""

    client = "192.0.2.1"
    first_request = True

    def __init__(self, end: threading.Event) -> None:
        self._end = end
        self.begun = threading.Event()

    def service(self) -> None:
        """Run, as a connection of waitress does."""
        self.begun.set()
        self._end.wait(30)

    def cancel(self) -> None:
        """Do nothing, as the server ends."""


@pytest.fixture
def without_loop(context: Context) -> Iterator[Server]:
    """Return a server whose loop does not run; its threads do."""
    made = create_server(context, host="127.0.0.1", port=0)
    yield made
    made._end_threads()
    wasyncore.close_all(made.loop.sockets)


@pytest.fixture
def server(context: Context) -> Iterator[Server]:
    made = create_server(context, host="127.0.0.1", port=0)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join(10)


def test_threads_that_take_no_request_are_found(without_loop: Server) -> None:
    server = without_loop
    end = threading.Event()
    dispatcher = server._listeners[0].task_dispatcher
    crowd = [Request(end) for _ in range(THREADS)]
    for request in crowd:
        dispatcher.add_task(request)
    wait_for(lambda: all(request.begun.is_set() for request in crowd), "busy threads")
    busy_s = time.monotonic()
    assert server.stuck(busy_s + 1000) is None  # nobody waits
    last = Request(end)
    dispatcher.add_task(last)
    assert server.stuck(busy_s + THREADS_TIMEOUT_S - 1) is None
    assert "no thread has taken one" in (server.stuck(time.monotonic() + THREADS_TIMEOUT_S + 1) or "")
    end.set()
    wait_for(last.begun.is_set, "the last request")
    assert server.stuck(time.monotonic()) is None


def test_a_loop_that_stands_still_is_found(server: Server) -> None:
    wait_for(lambda: server.loop.turned_s is not None, "the loop")
    assert server.stuck(time.monotonic()) is None
    assert "loop has stood still" in (server.stuck(time.monotonic() + LOOP_TIMEOUT_S + 2) or "")


@pytest.mark.sqlite_only("a server has no write lock")
def test_writes_that_wait_leave_threads_for_reads(serve: Callable[..., str], context: Context) -> None:
    """Sixteen requests that write, while another process is stopped with the lock: all get 503, reads are answered."""
    root = serve()
    lock = WriteLock(sqlite_path(context.store))
    limit_lock_waits(lock)
    statuses: list[tuple[int, str | None]] = []

    def write() -> None:
        answer = requests.put(f"{root}/schedule", json={"tiktok": {"max_per_day": 3}}, headers=AUTH, timeout=30)
        statuses.append((answer.status_code, answer.headers.get("Retry-After")))

    writers = [threading.Thread(target=write) for _ in range(16)]
    try:
        with holding_lock(sqlite_path(context.store), stopped=True):
            for writer in writers:
                writer.start()
            wait_for(lambda: len(statuses) >= 3, "refused writes", 20)
            for path in ("/health", "/jobs", "/schedule", "/connect/tiktok/callback?state=invented&code=x"):
                started_s = time.monotonic()
                requests.get(f"{root}{path}", headers=AUTH, timeout=20)
                assert time.monotonic() - started_s < 2
            for writer in writers:
                writer.join(30)
    finally:
        lock.timeout_s, lock.max_waiting = 30.0, None
    assert statuses == [(503, "5")] * 16
