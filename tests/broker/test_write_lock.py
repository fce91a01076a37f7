"""One writer at a time, among threads and processes; re-entrant on one thread."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import dramatiq
import pytest

from broker import SqliteBroker, WriteLock
from broker.debug import is_blocked
from tests.broker.conftest import working
from tests.support.lock_holder import holding_lock
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


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


def test_only_waits_are_counted_and_one_in_vain_with_the_next(path: Path) -> None:
    """A transaction that gets the lock at once pays nothing for the histogram."""
    lock = WriteLock(path)
    with lock:
        pass
    assert sum(lock.waits().counts) == 0
    with holding_lock(path):
        assert not lock.acquire(timeout_s=0.02)
    with lock:
        pass
    waits = lock.waits()
    assert sum(waits.counts[2:]) == 1  # the next one waits for the thread of the first, but no 10 ms
    assert waits.cumulative()[-1] == (math.inf, sum(waits.counts))
    assert waits.sum_s >= 0.02


def test_the_waits_of_all_processes_are_counted(path: Path) -> None:
    code = "import sys; from broker import WriteLock\nwith WriteLock(sys.argv[1]): pass"
    with holding_lock(path):
        command = [sys.executable, "-c", code, str(path)]
        running = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
        wait_for(lambda: _waiting_processes(WriteLock.file_of(path)) == 4, "the processes to wait")
    assert [one.wait(60) for one in running] == [0] * 4
    assert sum(WriteLock(path).waits().counts) == 4


def _waiting_processes(file: Path) -> int:
    inode = str(file.stat().st_ino)
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return sum(fields[1] == "->" and fields[-3].rpartition(":")[2] == inode for fields in lines)
