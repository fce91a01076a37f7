"""The watchdog finds silent processes, and no process of a machine that is suspended, loaded or slow."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from broker.storage.lock_file import Holder
from scripts.machine.watchdog import PATIENCE, Watchdog
from tests.support.waiting import wait_for


class Clock:
    """A monotonic clock that tests advance."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def _advance(watchdog: Watchdog, clock: Clock, seconds: float) -> None:
    """Let time pass as a supervisor sees it that runs without interruption."""
    for _ in range(round(seconds / 0.2)):
        clock.now_s += 0.2
        watchdog.listen()


def _answer(watchdog: Watchdog, pid: int) -> None:
    os.write(watchdog.pipe, pid.to_bytes(4, "little"))
    watchdog.listen()


@contextmanager
def _sleeping_process() -> Iterator[int]:
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        signal.pause()
        os._exit(0)
    try:
        wait_for(lambda: os.getpgid(pid) == pid, "a process group of its own")
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock: Clock) -> Iterator[Watchdog]:
    made = Watchdog(timeout_s=30.0, monotonic=clock)
    yield made
    made.close()


def test_a_process_is_silent_after_the_timeout_and_not_before(watchdog: Watchdog, clock: Clock) -> None:
    with _sleeping_process() as pid:
        _answer(watchdog, pid)
        _advance(watchdog, clock, 29)
        assert watchdog.silences([pid]) == {}
        _advance(watchdog, clock, 2)
        assert watchdog.silences([pid])[pid].pid == pid
        _answer(watchdog, pid)
        assert watchdog.silences([pid]) == {}


@pytest.mark.parametrize("suspended_s", [31.0, 86_400.0])
def test_a_suspended_machine_is_no_silence(watchdog: Watchdog, clock: Clock, suspended_s: float) -> None:
    """The clock has jumped, or ran while the control group was frozen; the supervisor could not listen."""
    with _sleeping_process() as pid:
        _answer(watchdog, pid)
        for _ in range(5):  # suspended again and again
            clock.now_s += suspended_s
            watchdog.listen()
            _advance(watchdog, clock, 2)
            assert watchdog.silences([pid]) == {}


def test_a_slow_start_is_no_silence_and_an_endless_one_is(watchdog: Watchdog, clock: Clock) -> None:
    with _sleeping_process() as pid:
        watchdog.started(pid)
        _advance(watchdog, clock, 30 * PATIENCE - 1)
        assert watchdog.silences([pid]) == {}
        _advance(watchdog, clock, 2)
        assert pid in watchdog.silences([pid])


def test_a_process_that_waits_for_the_cpu_is_given_more_time(watchdog: Watchdog, clock: Clock) -> None:
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        while True:
            pass
    try:
        wait_for(lambda: os.getpgid(pid) == pid, "a process group of its own")
        _answer(watchdog, pid)
        _advance(watchdog, clock, 30 * PATIENCE - 1)
        assert watchdog.silences([pid]) == {}
        _advance(watchdog, clock, 2)
        assert pid in watchdog.silences([pid])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_process_that_has_ended_is_dropped(watchdog: Watchdog, clock: Clock) -> None:
    with _sleeping_process() as pid:
        _answer(watchdog, pid)
    _advance(watchdog, clock, 60)
    assert watchdog.silences([pid]) == {}


def test_a_process_that_outlives_its_worker_is_found(watchdog: Watchdog, clock: Clock) -> None:
    """Dramatiq's first process has been seen to hang after its worker was killed: alive, and processing nothing."""
    with _sleeping_process() as pid:
        worker = os.fork()
        if worker == 0:
            os.setpgid(0, pid)
            signal.pause()
            os._exit(0)
        wait_for(lambda: os.getpgid(worker) == pid, "the same process group")
        for _ in range(40):
            _answer(watchdog, pid)
            _answer(watchdog, worker)
            assert watchdog.silences([pid]) == {}
            _advance(watchdog, clock, 1)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        for _ in range(29):
            _answer(watchdog, pid)
            assert watchdog.silences([pid]) == {}
            _advance(watchdog, clock, 1)
        _answer(watchdog, pid)
        _advance(watchdog, clock, 2)
        assert "forked has ended" in watchdog.silences([pid])[pid].reason


def test_a_process_that_never_releases_the_lock_is_found(clock: Clock) -> None:
    """Signs of life do not help: one of its threads is deadlocked with the lock."""
    with _sleeping_process() as pid:
        held = Holder(pid, "network", 5.0)
        watchdog = Watchdog(timeout_s=30.0, monotonic=clock, lock_holder=lambda: held)
        for _ in range(PATIENCE * 30 - 1):
            _answer(watchdog, pid)
            assert watchdog.silences([pid]) == {}
            _advance(watchdog, clock, 1)
        held = Holder(pid, "network", 6.0)  # it was released in between
        _answer(watchdog, pid)
        assert watchdog.silences([pid]) == {}
        for _ in range(PATIENCE * 30 + 1):
            _answer(watchdog, pid)
            _advance(watchdog, clock, 1)
        assert "not released" in watchdog.silences([pid])[pid].reason
        watchdog.close()
