"""Frames between two in which the eyes rest are interpolated, without running the networks."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.corrector import Corrector
from media.gaze.estimate.interpolation import (
    REST_CORNERS,
    REST_GAZE_DEG,
    REST_HEAD_DEG,
    REST_OPENING,
    is_at_rest,
    is_unchanged,
    midpoint,
)
from media.gaze.estimate.measure import GazeEstimate, estimate
from media.gaze.face.faces import Face
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.model import Head
from media.gaze.report import FrameResult
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import NoFaces, an_estimate, copied, corrected, iris_place, portrait_frame, shares

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


@given(st.lists(st.floats(-0.98, 0.98), min_size=4, max_size=4), st.integers(0, 3), st.floats(1.02, 10))
def test_eyes_rest_as_long_as_nothing_moves_further_than_it_trembles(
    ways: list[float], moving: int, way: float
) -> None:
    """All within their bounds is rest; any one beyond is none."""
    assert is_at_rest(an_estimate(), moved(ways))
    assert not is_at_rest(an_estimate(), moved([*ways[:moving], way, *ways[moving + 1 :]]))


def moved(ways: Sequence[float]) -> GazeEstimate:
    """Make the look of numbers whose gaze, head, lids and corners went a share of what still is rest."""
    gaze, head, lids, corners = ways
    return an_estimate(
        (gaze * REST_GAZE_DEG, 0.0),
        head_deg=(0.0, head * REST_HEAD_DEG),
        opening=0.3 + lids * REST_OPENING * 0.3 / an_estimate().opening,
        width=60 * (1 + 2 * corners * REST_CORNERS),
    )


def test_a_face_halfway_is_the_mean_of_both() -> None:
    one, other = (Face(np.full((478, 2), value, np.float32), {"eyeBlinkLeft": value / 10}, 3) for value in (1.0, 4.0))
    found = midpoint(one, other)
    assert (2.5, 2.5, pytest.approx(0.25), 3) == (*found.points[7], found.blendshapes["eyeBlinkLeft"], found.track)


def test_lids_shut_in_one_picture_only_are_seen_in_it(portrait: Portrait, head: Head, finder: Landmarker) -> None:
    """Neither noise nor light that changes evenly is taken for a blink."""
    frame = portrait_frame(portrait, ASIDE)
    (face,) = finder.find(frame)
    own = estimate(face, head, frame.y)
    assert own is not None
    before, between, after = (grained(frame, seed) for seed in range(3))
    shut = grained(portrait_frame(portrait, ASIDE, closed=1.0), 3)
    assert is_unchanged([before, between, after], own)
    assert is_unchanged([before, grained(frame, 1, light=6), grained(frame, 2, light=12)], own)
    assert not is_unchanged([before, shut, after], own)


def grained(frame: Planes, seed: int, light: float = 0.0) -> NDArray[np.uint8]:
    """Take the luma with a camera's noise, and lighter."""
    grain = np.random.default_rng(seed).normal(light, 4, frame.y.shape)
    return np.asarray(np.clip(frame.y + grain, 16, 235), np.uint8)


def test_the_networks_are_spared_while_eyes_rest_and_little_changes(
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
    assert [*range(0, 31, 2)] == shown[0]
    assert [*range(31)] == shown[1]
    for one, other in zip(*results, strict=True):
        assert pytest.approx(iris_place(one, 0), abs=0.2) == iris_place(other, 0)


@pytest.mark.parametrize("shut", [{14}, {15}, {13, 14}, {14, 15}, {13, 14, 15}])
def test_no_blink_is_passed_over(shut: set[int], portrait: Portrait, head: Head, finder: Landmarker) -> None:
    """Be it as short as a frame, and on a frame that would have been passed over."""
    frames = [portrait_frame(portrait, ASIDE, closed=float(index in shut), index=index) for index in range(30)]
    counting, results = CountingFinder(finder), list[FrameResult]()
    corrected(Corrector(counting, head, intensity=1.0, usual_opening=0.26, on_result=results.append), frames)
    assert set(range(min(shut) - 1, max(shut) + 2)) <= set(counting.shown)
    assert max(shares(results)[index] for index in shut) < 0.1
    assert max(shares(results)[:8]) > 0.9
