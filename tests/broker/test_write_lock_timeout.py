"""No wait for the write lock is endless: not of a sender, a worker, the end of a process, nor of a read at all."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import dramatiq
import pytest
from dramatiq.threading import Interrupt, raise_thread_exception

from broker import SqliteBroker, WriteLock, WriteLockTimeout
from broker.debug import is_blocked
from broker.storage.lock_file import read_holder
from tests.broker.conftest import message_to, working
from tests.support.lock_holder import holding_lock
from tests.support.waiting import wait_for

SHORT_S = 0.3


@pytest.fixture
def lock(broker: SqliteBroker) -> WriteLock:
    """Return the lock of a broker with a file, whose waits are short."""
    broker.declare_queue("default")
    broker.enqueue(message_to("default"))
    broker.write_lock.timeout_s = SHORT_S
    return broker.write_lock


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Return the file; the lock object of a path outlives a test."""
    path = tmp_path / "queue.sqlite3"
    yield path
    WriteLock(path).max_waiting = None


def test_a_wait_for_a_stopped_process_ends_and_names_it(lock: WriteLock, path: Path) -> None:
    with holding_lock(path, stopped=True) as pid:
        started_s = time.monotonic()
        assert not lock.acquire()
        assert SHORT_S <= time.monotonic() - started_s < SHORT_S + 5
        assert f"(process {pid}) for " in str(lock.timeout_error())
        assert not lock.acquire(blocking=False)
        assert not lock.held
    wait_for(lambda: lock.holder() == "nobody", "the end of the holder")
    with lock:
        assert f"(process {os.getpid()})" in lock.holder()


def test_a_wait_for_a_thread_of_the_same_process_ends(lock: WriteLock) -> None:
    with ThreadPoolExecutor(1) as pool, lock:
        assert pool.submit(lock.acquire).result(10) is False


def test_a_lock_that_comes_after_the_timeout_is_given_back(lock: WriteLock, path: Path) -> None:
    """The place in the kernel's queue is kept, but what comes out of it must not stay locked."""
    with holding_lock(path):
        assert not lock.acquire()
    for _ in range(20):
        wait_for(lambda: lock.holder() == "nobody", "an unlocked file")
        with lock:
            assert lock.held


def test_a_wait_continues_in_the_place_of_the_one_before(lock: WriteLock, path: Path) -> None:
    results: list[bool] = []
    waiting = threading.Thread(target=lambda: results.append(lock.acquire(timeout_s=20) and lock.release_leaked()))
    with holding_lock(path):
        assert not lock.acquire()
        waiting.start()
        wait_for(lambda: is_blocked(waiting), "a second wait")
    waiting.join(20)
    assert results == [True]
    assert lock.holder() == "nobody"


def test_an_exception_into_a_waiting_thread_leaves_nothing_locked(lock: WriteLock, path: Path) -> None:
    def wait() -> None:
        with pytest.raises(Interrupt):
            lock.acquire(timeout_s=5)

    thread = threading.Thread(target=wait)
    with holding_lock(path):
        thread.start()
        wait_for(lambda: is_blocked(thread), "a thread that waits")
        raise_thread_exception(thread.ident, Interrupt)  # type: ignore[no-untyped-call]  # dramatiq's
    thread.join(20)
    wait_for(lambda: lock.holder() == "nobody", "an unlocked file")
    with lock:
        pass


def test_a_sender_fails_within_the_timeout_and_nothing_is_sent(
    broker: SqliteBroker, lock: WriteLock, path: Path
) -> None:
    del lock
    with holding_lock(path, stopped=True) as pid:
        started_s = time.monotonic()
        with pytest.raises(WriteLockTimeout, match=f"process {pid}"):
            broker.enqueue(message_to("default"))
        assert time.monotonic() - started_s < SHORT_S + 5
    assert broker.get_queue_message_counts("default") == (1, 0, 0)
    broker.enqueue(message_to("default"))
    assert broker.get_queue_message_counts("default") == (2, 0, 0)


def test_a_program_that_ignores_the_lock_is_waited_for_no_longer(
    broker: SqliteBroker, lock: WriteLock, path: Path
) -> None:
    """SQLite's own lock, held by a shell for instance, is part of the same timeout."""
    del lock
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        started_s = time.monotonic()
        with pytest.raises(WriteLockTimeout):
            broker.enqueue(message_to("default"))
        assert time.monotonic() - started_s < SHORT_S + 5


def test_reads_never_wait_for_the_lock(broker: SqliteBroker, lock: WriteLock, path: Path) -> None:
    """Not even the first read of a process, which opens the file."""
    del lock
    with holding_lock(path, stopped=True):
        assert broker.get_queue_message_counts("default") == (1, 0, 0)
        newcomer = SqliteBroker(path, if_replaced="refuse")
        WriteLock(path).timeout_s = 60.0
        started_s = time.monotonic()
        assert [stats.ready for stats in newcomer.admin.queue_stats()] == [1]
        assert time.monotonic() - started_s < 10
        WriteLock(path).timeout_s = SHORT_S
        newcomer.close()


def test_closing_ends_within_the_timeout(
    broker: SqliteBroker, lock: WriteLock, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also with a long timeout: a process that is asked to end must not be killed for its wait."""
    monkeypatch.setattr("broker.engine.writer.CLOSE_TIMEOUT_S", SHORT_S)
    lock.timeout_s = 60.0
    consumer = broker.consume("default", timeout=10_000)
    assert next(consumer) is not None
    with holding_lock(path, stopped=True), caplog.at_level(logging.WARNING):
        started_s = time.monotonic()
        broker.close()
        assert time.monotonic() - started_s < 10
    assert "the write lock is held by" in caplog.text
    other = SqliteBroker(path)
    other.declare_queue("default")
    assert next(other.consume("default", timeout=20_000)) is not None  # the message of the closed one
    other.close()


def test_only_so_many_threads_wait_during_a_stall(lock: WriteLock, path: Path) -> None:
    lock.timeout_s, lock.max_waiting = 60.0, 5
    with ThreadPoolExecutor(8) as pool, holding_lock(path, stopped=True) as pid:
        waits = [pool.submit(lambda: lock.acquire() and lock.release_leaked()) for _ in range(8)]
        wait_for(lambda: sum(wait.done() for wait in waits) >= 3, "three threads that do not wait", 20)
        started_s = time.monotonic()
        assert pool.submit(lock.acquire).result(10) is False
        assert time.monotonic() - started_s < 1
        os.kill(pid, signal.SIGKILL)
        results = sorted(wait.result(20) for wait in waits)
    assert results == [False] * 3 + [True] * 5


def test_a_crowd_that_gets_the_lock_in_turn_is_no_stall(lock: WriteLock) -> None:
    """Thirty threads, each with the lock for a moment: none fails, though only five may wait during a stall."""
    lock.timeout_s, lock.max_waiting = 60.0, 5
    passed: list[int] = []

    def write(number: int) -> None:
        with lock:
            time.sleep(0.02)  # the length of a transaction
            passed.append(number)

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(write, range(30)))
    assert sorted(passed) == list(range(30))


@pytest.mark.logs_errors("dramatiq")
def test_workers_lose_and_double_nothing_while_the_lock_is_held(
    broker: SqliteBroker, lock: WriteLock, path: Path
) -> None:
    """An acknowledgement waits on; the actor is not run again, and the messages behind it run afterwards."""
    runs: list[int] = []
    running, proceed = threading.Event(), threading.Event()

    @dramatiq.actor(queue_name="work")
    def work(number: int) -> None:
        running.set()
        proceed.wait(30)
        runs.append(number)

    del lock
    with working(broker, threads=1):
        for number in range(5):
            work.send(number)
        assert running.wait(20)
        with holding_lock(path, "DELETE FROM broker_messages", stopped=True):
            proceed.set()
            wait_for(lambda: runs == [0], "the end of the first actor")
            with pytest.raises(WriteLockTimeout):
                broker.enqueue(message_to("work"))
        broker.join("work", timeout=30_000)
    assert runs == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that is how the thread ends
def test_a_worker_whose_consumer_thread_has_ended_is_told_to_its_supervisor(broker: SqliteBroker) -> None:
    """Dramatiq starts a consumer again after an error, but not its thread; the process would wait for ever."""
    broker.declare_queue("default")
    assert broker.dead_thread() is None
    with working(broker) as worker:
        wait_for(lambda: "default" in worker.consumers, "a consumer")
        assert broker.dead_thread() is None
        raise_thread_exception(worker.consumers["default"].ident, SystemExit)  # type: ignore[no-untyped-call]  # dramatiq's
        wait_for(lambda: broker.dead_thread() is not None, "the report")
        assert broker.dead_thread() == "the consumer thread of default has ended"
    assert broker.dead_thread() is None  # it was asked to stop


def test_a_program_that_writes_no_record_is_named_and_not_the_last_holder(lock: WriteLock, path: Path) -> None:
    """A supervisor would otherwise end the last holder, which does nothing wrong."""
    with lock:
        pass
    program = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(WriteLock.file_of(path))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            found = read_holder(WriteLock.file_of(path))
            assert found is not None
            assert found.pid == other.pid
        finally:
            other.kill()
    assert read_holder(WriteLock.file_of(path)) is None
