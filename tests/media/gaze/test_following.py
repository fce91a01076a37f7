"""Frames whose eyes look as in a measured one are followed, without running the networks."""

import numpy as np
import pytest

from media.frames import Planes
from media.gaze.corrector import Corrector
from media.gaze.face.faces import Face
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.model import Head
from media.gaze.following import RESTING_STRIDE, STRIDE
from media.gaze.policy import LOOK_AHEAD
from media.gaze.report import FrameResult
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import NoFaces, copied, corrected, iris_place, portrait_frame, shares

ASIDE = (11.0, -3.0)


class CountingFinder(NoFaces):
    """A finder that remembers which frames it was shown."""

    def __init__(self, finder: Landmarker, *, in_any_order: bool = True) -> None:
        self._finder = finder
        self.in_any_order = in_any_order
        self.shown: list[int] = []

    def find(self, frame: Planes) -> list[Face]:
        self.shown.append(frame.index)
        return self._finder.find(frame)


def test_the_networks_run_on_few_frames_while_eyes_rest_and_little_changes(
    portrait: Portrait, head: Head, finder: Landmarker
) -> None:
    frames = [portrait_frame(portrait, ASIDE, index=index) for index in range(31)]
    results, shown = [], []
    for in_any_order in (True, False):
        counting = CountingFinder(finder, in_any_order=in_any_order)
        stage = Corrector(counting, head, intensity=1.0, usual_opening=0.26)
        results.append(corrected(stage, [copied(frame) for frame in frames]))
        shown.append(counting.shown)
        assert 31 == stage.timing.measured_frames
    assert [*range(0, 31, RESTING_STRIDE)] == shown[0]
    assert STRIDE <= RESTING_STRIDE <= LOOK_AHEAD, "followed frames are corrected before they are emitted"
    assert [*range(31)] == shown[1]
    for one, other in zip(*results, strict=True):
        assert pytest.approx(iris_place(one, 0), abs=0.2) == iris_place(other, 0)


def test_eyes_of_a_moving_head_are_drawn_where_they_are(portrait: Portrait, head: Head, finder: Landmarker) -> None:
    """The head sways by up to four pixels a frame: the same is drawn as when each frame is measured."""
    frames = [swayed(portrait_frame(portrait, ASIDE, index=index)) for index in range(30)]
    counting = CountingFinder(finder)
    followed = corrected(
        Corrector(counting, head, intensity=1.0, usual_opening=0.26), [copied(frame) for frame in frames]
    )
    every = CountingFinder(finder, in_any_order=False)
    measured = corrected(Corrector(every, head, intensity=1.0, usual_opening=0.26), [copied(frame) for frame in frames])
    assert len(counting.shown) <= 12
    for one, other, original in zip(followed[4:26], measured[4:26], frames[4:26], strict=True):
        missed = np.abs(one.y.astype(int) - other.y).sum() / np.abs(other.y.astype(int) - original.y).sum()
        assert missed < 0.25, "of what the correction changes"


def swayed(frame: Planes) -> Planes:
    """Move a picture aside by an even number of pixels, to and fro."""
    right = 2 * round(10 + 10 * float(np.sin(frame.index / 5)))
    cut, half = slice(right, frame.y.shape[1] - 64 + right), slice(right // 2, frame.u.shape[1] - 32 + right // 2)
    y, u, v = (np.ascontiguousarray(plane) for plane in (frame.y[:, cut], frame.u[:, half], frame.v[:, half]))
    return Planes(y, u, v, frame.index, frame.time_s)


@pytest.mark.parametrize("shut", [{14}, {15}, {16}, {13, 14}, {14, 15}, {13, 14, 15}])
def test_no_blink_is_passed_over(shut: set[int], portrait: Portrait, head: Head, finder: Landmarker) -> None:
    """Be it as short as a frame, wherever it lies among the measured frames."""
    frames = [portrait_frame(portrait, ASIDE, closed=float(index in shut), index=index) for index in range(30)]
    counting, results = CountingFinder(finder), list[FrameResult]()
    corrected(Corrector(counting, head, intensity=1.0, usual_opening=0.26, on_result=results.append), frames)
    assert {min(shut), max(shut) + 1} <= set(counting.shown)
    assert max(shares(results)[index] for index in shut) < 0.1
    assert max(shares(results)[:8]) > 0.9


@pytest.mark.parametrize("yaw", [-4.0, 5.0, 17.0])
def test_a_saccade_is_measured_in_the_frame_in_which_it_is_seen(
    yaw: float, portrait: Portrait, head: Head, finder: Landmarker
) -> None:
    frames = [portrait_frame(portrait, ASIDE if index < 14 else (yaw, -3.0), index=index) for index in range(30)]
    counting = CountingFinder(finder)
    corrected(Corrector(counting, head, intensity=1.0, usual_opening=0.26), frames)
    assert 14 in counting.shown
    assert 13 not in counting.shown
