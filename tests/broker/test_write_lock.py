"""One writer at a time, among threads and processes; re-entrant on one thread."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker, WriteLock
from broker.debug import is_blocked
from tests.broker.conftest import working
from tests.support.waiting import wait_for


def test_locks_of_one_file_are_one_lock(path: Path) -> None:
    """A store that makes its own lock shares the broker's, also inside the other's block."""
    with WriteLock(path), WriteLock(path.parent / "." / path.name) as inner:
        assert inner.held
    assert not WriteLock(path).held


def test_threads_exclude_each_other(path: Path) -> None:
    inside: list[int] = []
    crowd: list[int] = []

    def pass_through() -> None:
        for _ in range(50):
            with WriteLock(path):
                inside.append(1)
                crowd.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=pass_through) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(crowd) == {1}


def test_processes_exclude_each_other_and_a_killed_one_lets_go(path: Path) -> None:
    ready, steady = os.pipe()
    child = os.fork()
    if child == 0:
        with WriteLock(path):
            os.write(steady, b"x")
            signal.pause()
        os._exit(0)
    os.read(ready, 1)
    entered = threading.Event()

    def enter() -> None:
        with WriteLock(path):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    try:
        wait_for(lambda: is_blocked(thread) or entered.is_set(), "a thread that waits for the lock")
        assert not entered.wait(0.05)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert entered.wait(10)
    thread.join()
    os.close(ready)
    os.close(steady)


def test_a_child_forked_while_the_lock_is_held_does_not_hold_it(path: Path) -> None:
    with WriteLock(path) as lock:
        child = os.fork()
        if child == 0:
            os._exit(1 if lock.held else 0)
        _, status = os.waitpid(child, 0)
        assert lock.held
    assert os.waitstatus_to_exitcode(status) == 0


def test_an_exception_releases_the_lock(path: Path) -> None:
    lock = WriteLock(path)
    try:
        with lock:
            raise ValueError
    except ValueError:
        pass
    assert not lock.held
    passed = threading.Event()

    def enter() -> None:
        with lock:
            passed.set()

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(5)
    assert passed.is_set()


@pytest.mark.logs_errors("dramatiq")
def test_an_actor_that_leaves_the_lock_held_does_not_stop_the_others(broker: SqliteBroker) -> None:
    """An exception from outside can make a thread leave a `with` block without leaving the lock."""

    @dramatiq.actor(max_retries=0)
    def leak() -> None:
        broker.write_lock.__enter__()

    @dramatiq.actor
    def other() -> None:
        pass

    with working(broker, threads=2):
        leak.send()
        other.send()
        broker.join("default", timeout=5000)
    assert broker.admin.dead_letters() == []
