"""Fewer measured frames, a smaller picture, then no correction: against a deadline and a limit of memory."""

import mmap
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.gaze.reasons import Reason
from media.gaze.time_budget import RESERVE_BYTES, WARM_UP_FRAMES, SmallerPictureFaster, TimeBudget, TimeStep

FRAMES = 600


class Day:
    """Two clocks that a test moves on: seconds, and the CPU seconds that the process gets in them."""

    def __init__(self, core_share: Callable[[float], float] = lambda _: 1.0) -> None:
        self.now = self.cpu = 0.0
        self._core_share = core_share

    def work(self, cpu_s: float) -> None:
        self.cpu += cpu_s
        self.now += cpu_s / self._core_share(self.now)


def render(
    deadline_s: float,
    *,
    look_s: float,
    beside_s: float,
    draw_s: float = 0.0,
    frames: int = FRAMES,
    core_share: Callable[[float], float] = lambda _: 1.0,
    smaller_cost: float | None = None,
) -> tuple[list[int], TimeBudget, float]:
    """Go through a part; returns every answer, the budget, and how long the part took."""
    day = Day(core_share)
    budget = TimeBudget(deadline_s, frames, clock=lambda: day.now, cpu_clock=lambda: day.cpu, smaller_cost=smaller_cost)
    answers: list[int] = []
    for index in range(frames):
        every = budget.interval(index)
        answers.append(every)
        if every and index % every == 0:
            day.work(look_s)
            budget.record_measuring(look_s)
        if every:
            day.work(draw_s)
            budget.record_drawing(draw_s)
        day.work(beside_s)
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


@given(
    st.floats(1, 60), st.floats(0.001, 0.05), st.floats(0.001, 0.05), st.lists(st.floats(0.02, 2), min_size=1),
    st.floats(0.1, 5),
)  # fmt: skip
def test_it_never_goes_back_to_more(
    deadline_s: float, look_s: float, beside_s: float, shares: list[float], each_s: float
) -> None:
    """However the share of the core changes."""
    answers, budget, _ = render(
        deadline_s,
        look_s=look_s,
        beside_s=beside_s,
        frames=200,
        core_share=lambda now: shares[int(now / each_s) % len(shares)],
    )
    effort = [4 if every == 0 else every for every in answers]
    assert effort == sorted(effort)
    expected = [TimeStep.FEWER_MEASURED] if max(answers) > 1 or answers[-1] == 0 else []
    assert budget.steps == [*expected, *([TimeStep.WITHOUT_CORRECTION] if answers[-1] == 0 else [])] or (
        answers[-1] == 0 and budget.steps == [TimeStep.WITHOUT_CORRECTION]
    )


@given(st.floats(0.02, 1), st.floats(0.01, 0.03))
def test_less_of_a_core_corrects_no_more_of_a_part(share: float, look_s: float) -> None:
    """Half of the core, or of the time, is no reason for more work."""

    def corrected(core_share: float) -> int:
        answers, _, _ = render(
            40.0, look_s=look_s, draw_s=0.005, beside_s=0.02, frames=300, core_share=lambda _: core_share
        )
        return sum(every > 0 for every in answers)

    assert corrected(share) >= corrected(share / 2)


# Of 18 CPU seconds: a sixteenth of a core takes 288 s.
def test_a_sixteenth_of_a_core_is_enough_when_the_deadline_is_far_away() -> None:
    answers, budget, took_s = render(400, look_s=0.01, draw_s=0.005, beside_s=0.015, core_share=lambda _: 1 / 16)
    assert ({1}, []) == (set(answers), budget.steps)
    assert 287 < took_s < 289


def test_the_end_of_a_burst_is_noticed() -> None:
    """A shared core at full speed for 6 s, then a sixteenth of it: the average so far would promise too much."""
    answers, budget, took_s = render(
        130, look_s=0.01, draw_s=0.005, beside_s=0.015, core_share=lambda now: 1.0 if now < 6 else 1 / 16
    )
    assert [TimeStep.FEWER_MEASURED, TimeStep.WITHOUT_CORRECTION] == budget.steps
    assert sum(every > 0 for every in answers) / FRAMES > 0.3
    assert took_s <= 130


def test_a_short_pause_of_the_machine_costs_no_quality() -> None:
    answers, _, _ = render(
        60, look_s=0.01, draw_s=0.005, beside_s=0.015, core_share=lambda now: 0.05 if 5 < now < 6 else 1.0
    )
    assert {1} == set(answers)


def test_a_suspended_machine_costs_no_quality_if_there_is_time_left() -> None:
    """Minutes in which nothing runs say nothing about the frames to come; the deadline still counts them."""
    pause = [1500.0]

    def core_share(now: float) -> float:
        if now > 5 and pause:
            return 0.015 / pause.pop()  # of the step that is under way
        return 1.0

    answers, budget, took_s = render(2400, look_s=0.01, draw_s=0.005, beside_s=0.015, core_share=core_share)
    assert took_s > 500
    assert ({1}, []) == (set(answers), budget.steps)


def test_a_smaller_picture_is_taken_before_correction_ends() -> None:
    """At full size and every third frame it takes 15 s, smaller 11."""
    with pytest.raises(SmallerPictureFaster):
        render(13.5, look_s=0.010, draw_s=0.005, beside_s=0.015, smaller_cost=0.7)
    answers, budget, _ = render(13.5, look_s=0.010, draw_s=0.005, beside_s=0.015)
    assert TimeStep.WITHOUT_CORRECTION in budget.steps
    assert answers[-1] == 0


def test_the_picture_is_not_made_smaller_when_that_would_come_too_late() -> None:
    """Half of the part is done when the burst ends; to begin anew would take longer than to finish it as it is."""
    answers, budget, took_s = render(
        100,
        look_s=0.01,
        draw_s=0.005,
        beside_s=0.015,
        core_share=lambda now: 1.0 if now < 9 else 1 / 16,
        smaller_cost=0.7,
    )
    assert answers[-1] == 0
    assert TimeStep.WITHOUT_CORRECTION in budget.steps
    assert took_s <= 100


def test_a_deadline_that_nothing_keeps_is_missed_by_as_little_as_possible() -> None:
    """Without correction at full size 9 s, smaller 6; 5 are allowed."""
    with pytest.raises(SmallerPictureFaster):
        render(5.0, look_s=0.010, draw_s=0.005, beside_s=0.015, smaller_cost=0.7)


def test_a_slow_beginning_decides_nothing_yet() -> None:
    answers, _, _ = render(10.0, look_s=0.01, beside_s=0.1, frames=FRAMES)
    assert {1} == set(answers[:WARM_UP_FRAMES])


def test_of_unknown_length_only_the_deadline_itself_counts() -> None:
    day = Day()
    budget = TimeBudget(10.0, None, clock=lambda: day.now, cpu_clock=lambda: day.cpu)
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
