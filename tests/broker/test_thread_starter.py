"""Threads are not started by those into which exceptions are raised, which would get these exceptions."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

import pytest
from dramatiq.results import ResultTimeout

from broker import SqliteBroker, SqliteResultBackend, WriteLock
from broker.storage.thread_starter import start_thread
from tests.broker.conftest import message_to
from tests.support.lock_holder import holding_lock


@pytest.fixture
def starters(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return by which thread each thread was started, by their names."""
    found: dict[str, str] = {}
    start = threading.Thread.start

    def noted(self: threading.Thread) -> None:
        found[self.name] = threading.current_thread().name
        start(self)

    monkeypatch.setattr(threading.Thread, "start", noted)
    return found


def on_a_worker_thread(work: object) -> None:
    """Run a function on a thread as Dramatiq's are."""
    assert callable(work)
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_a_first_wait_for_the_lock_file_starts_no_thread_by_itself(path: Path, starters: dict[str, str]) -> None:
    lock = WriteLock(path)
    with lock:
        pass
    with holding_lock(path):
        on_a_worker_thread(lambda: lock.acquire(timeout_s=0.1))
    assert starters["lock-file"] == "broker-starter"


def test_the_first_use_of_a_broker_and_a_backend_on_a_worker_thread_starts_none_either(
    path: Path, starters: dict[str, str]
) -> None:
    with closing(SqliteBroker(path, middleware=[])) as broker, closing(SqliteResultBackend(path)) as results:
        broker.declare_queue("default")

        def use() -> None:
            broker.enqueue(message_to("default"))
            with pytest.raises(ResultTimeout):
                results.get_result(message_to("default"), block=True, timeout=10)

        on_a_worker_thread(use)
    assert starters["broker-writer"] == starters["broker-waiter"] == "broker-starter"


def test_a_forked_child_starts_threads_of_its_own(path: Path) -> None:
    with closing(SqliteBroker(path, middleware=[])) as broker:
        broker.declare_queue("default")
        broker.enqueue(message_to("default"))
        child = os.fork()
        if child == 0:
            broker.enqueue(message_to("default"))
            broker.close()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert broker.get_queue_message_counts("default") == (2, 0, 0)


def test_a_thread_that_cannot_be_started_is_an_error_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = threading.Thread(target=lambda: None)

    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        start_thread(thread)
