"""Outlines and axes are smoothed without lag, and not across changes."""

from dataclasses import replace

import numpy as np
import pytest

from media.gaze.estimate.geometry import Axes, Eye
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.estimate.smoothing import REACH_FRAMES, smooth_axes, smooth_outlines
from tests.media.gaze.synthetic import an_estimate

MIDDLE = 20
COUNT = 2 * MIDDLE + 1


def moved(look: GazeEstimate, way: tuple[float, float]) -> GazeEstimate:
    left, right = (Eye(eye.upper + way, eye.lower + way, eye.iris + way, eye.iris_radius) for eye in look.eyes)
    return GazeEstimate.of((left, right), look.gaze_deg, look.head_deg, look.radius_px)


def test_a_head_that_moves_evenly_or_speeds_up_is_where_it_is() -> None:
    """A parabola through time is followed exactly: no lag, no overshoot."""
    estimates = [moved(an_estimate(), (3.0 * t - 0.2 * t * t, 1.5 * t)) for t in range(COUNT)]
    for axes, eye in zip(smooth_axes(estimates, MIDDLE), estimates[MIDDLE].eyes, strict=True):
        own = Axes.of(eye)
        assert pytest.approx(own.origin, abs=1e-6) == axes.origin
        assert pytest.approx(own.along, abs=1e-6) == axes.along


def test_trembling_landmarks_give_a_calm_place() -> None:
    """Less than 0.6 of the noise is left, and less than a third of its leaps."""
    rng = np.random.default_rng(5)
    ways = rng.normal(0, 1, (300, 2))
    estimates = [moved(an_estimate(), (x, y)) for x, y in ways]
    places = np.array([smooth_axes(estimates, at)[0].origin for at in range(REACH_FRAMES, 300 - REACH_FRAMES)])
    assert float(places.std(axis=0).max()) < 0.6
    assert float(np.diff(places, axis=0).std(axis=0).max()) < np.sqrt(2) / 3


def test_frames_without_a_face_are_left_out_and_a_lonely_one_stands_for_itself() -> None:
    estimates: list[GazeEstimate | None] = [None] * COUNT
    estimates[MIDDLE] = an_estimate()
    assert pytest.approx(Axes.of(an_estimate().eyes[0]).origin) == smooth_axes(estimates, MIDDLE)[0].origin
    for at in range(MIDDLE - 4, MIDDLE + 5, 2):
        estimates[at] = moved(an_estimate(), (2.0 * at, 0.0))
    goal = Axes.of(moved(an_estimate(), (2.0 * MIDDLE, 0.0)).eyes[0])
    assert pytest.approx(goal.origin) == smooth_axes(estimates, MIDDLE)[0].origin


def test_shapes_do_not_mix_across_a_saccade_or_a_blink() -> None:
    other = an_estimate((14.0, 0.0), opening=0.1)
    estimates = [an_estimate()] * MIDDLE + [other] * (COUNT - MIDDLE)
    before, after = smooth_outlines(estimates, MIDDLE - 1)[0], smooth_outlines(estimates, MIDDLE)[0]
    assert pytest.approx(an_estimate().outlines[0].upper, abs=0.01) == before.upper
    assert pytest.approx(other.outlines[0].upper, abs=0.01) == after.upper


def test_shapes_of_the_same_pose_are_averaged() -> None:
    wide, narrow = an_estimate(opening=0.302), an_estimate(opening=0.298)
    estimates = [replace(wide) if at % 2 else replace(narrow) for at in range(COUNT)]
    assert (
        pytest.approx(an_estimate(opening=0.3).outlines[0].upper, abs=0.003)
        == smooth_outlines(estimates, MIDDLE)[0].upper
    )
