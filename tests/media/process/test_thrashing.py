"""A child that waits for its own pages is ended, so that it can be run again with less memory."""

from __future__ import annotations

import os
import resource

from media.process.thrashing import MAX_MAJOR_FAULTS, WINDOW_S, FaultMonitor, major_faults


class Clock:
    """A clock that a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_many_faults_in_a_short_time_are_thrashing() -> None:
    clock = Clock()
    monitor = FaultMonitor(clock)
    assert not monitor.is_thrashing(500)
    clock.now_s += WINDOW_S / 2
    assert not monitor.is_thrashing(500 + MAX_MAJOR_FAULTS)
    clock.now_s += WINDOW_S / 4
    assert monitor.is_thrashing(501 + MAX_MAJOR_FAULTS)


def test_as_many_over_a_long_time_are_not() -> None:
    clock = Clock()
    monitor = FaultMonitor(clock)
    for number in range(100):
        clock.now_s += WINDOW_S / 10
        assert not monitor.is_thrashing(number * MAX_MAJOR_FAULTS // 11)


def test_the_faults_of_a_process_are_the_kernels_count() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    counted = major_faults(os.getpid())
    assert before <= counted <= resource.getrusage(resource.RUSAGE_SELF).ru_majflt
