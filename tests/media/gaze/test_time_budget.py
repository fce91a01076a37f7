"""Fewer looks before none, and why: against a deadline and a limit of memory."""

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.gaze.reasons import Reason
from media.gaze.time_budget import RESERVE_BYTES, WARM_UP_FRAMES, TimeBudget

FRAMES = 600


class Day:
    """A clock that a test moves on: what looking and everything else cost."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def render(
    deadline_s: float, *, look_s: float, beside_s: float, draw_s: float = 0.0, frames: int = FRAMES
) -> tuple[list[int], TimeBudget, float]:
    """Go through a part; returns every answer, the budget, and how long the part took."""
    day = Day()
    budget, answers = TimeBudget(deadline_s, frames, clock=day), []
    for index in range(frames):
        every = budget.interval(index)
        answers.append(every)
        if every and index % every == 0:
            day.now += look_s
            budget.record_measuring(look_s)
        if every:
            day.now += draw_s
            budget.record_drawing(draw_s)
        day.now += beside_s
    return answers, budget, day.now


# In all 18 s when every frame is looked at, 15 every second, 14 every third, 9 without; a twentieth is kept in hand.
@pytest.mark.parametrize(("deadline_s", "steps"), [(20, [1]), (17, [1, 2]), (15.6, [1, 3]), (13, [1, 3, 0])])
def test_looks_grow_sparse_before_they_end(deadline_s: float, steps: list[int]) -> None:
    answers, budget, took_s = render(deadline_s, look_s=0.010, draw_s=0.005, beside_s=0.015)
    taken = [*dict.fromkeys(answers)]
    assert [1, steps[-1]] == [taken[0], taken[-1]]
    assert set(steps) <= {*taken, 2}, "a step may be passed by, none before the last"
    assert (Reason.TIME_SHORT if steps[-1] == 0 else None) == budget.stopped
    assert took_s <= deadline_s


def test_as_much_is_corrected_as_leaves_time_to_finish() -> None:
    """Two thirds of the time that all would take are enough for some two thirds of the frames, not for none."""
    answers, _, took_s = render(13.0, look_s=0.010, draw_s=0.005, beside_s=0.015)
    assert 0.55 < sum(every > 0 for every in answers) / FRAMES < 0.9
    assert 12 < took_s <= 13


def test_a_deadline_that_cannot_be_kept_at_all_ends_it_at_once() -> None:
    answers, budget, _ = render(5.0, look_s=0.010, draw_s=0.005, beside_s=0.015)
    assert answers[WARM_UP_FRAMES] == 0
    assert budget.stopped is Reason.TIME_SHORT


@given(st.floats(1, 60), st.floats(0.001, 0.05), st.floats(0.001, 0.05))
def test_it_never_goes_back_to_more(deadline_s: float, look_s: float, beside_s: float) -> None:
    answers, _, _ = render(deadline_s, look_s=look_s, beside_s=beside_s, frames=200)
    effort = [4 if every == 0 else every for every in answers]
    assert effort == sorted(effort)


def test_a_slow_beginning_decides_nothing_yet() -> None:
    answers, _, _ = render(10.0, look_s=0.01, beside_s=0.1, frames=FRAMES)
    assert {1} == set(answers[:WARM_UP_FRAMES])


def test_of_unknown_length_only_the_deadline_itself_counts() -> None:
    day = Day()
    budget = TimeBudget(10.0, None, clock=day)
    day.now = 9.4
    assert 1 == budget.interval(500)
    day.now = 9.6
    assert 0 == budget.interval(501)
    assert budget.stopped is Reason.TIME_SHORT


def test_when_memory_is_nearly_used_up_nothing_is_looked_at_any_more() -> None:
    held = [100 << 20]
    budget = TimeBudget(memory_bytes=200 << 20, used_bytes=lambda: held[0])
    assert 1 == budget.interval(0)
    held[0] = (200 << 20) - RESERVE_BYTES + 1
    assert 0 == budget.interval(1)
    held[0] = 0
    assert 0 == budget.interval(2)
    assert budget.stopped is Reason.MEMORY_SHORT


def test_what_this_process_holds_is_read_from_the_kernel() -> None:
    budget, size = TimeBudget(memory_bytes=1 << 40), 32 << 20
    before = budget.used_bytes()
    with mmap.mmap(-1, size) as block:
        for page in range(0, size, mmap.PAGESIZE):  # by pages: the allocator may keep the memory of a large value
            block[page] = 1
        assert pytest.approx(before + size, abs=4 << 20) == budget.used_bytes()
