"""Both irises of a face are found at their edges, with one size."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from media.gaze.estimate import limbus
from media.gaze.estimate.geometry import Eye
from tests.media.gaze.draw.painted import PaintedEye

TRUE_RADIUS = 12.0


def a_pair(*, engine: float, softness_px: float = 0.7) -> tuple[NDArray[np.uint8], tuple[Eye, Eye]]:
    """Paint two eyes side by side, and return what the engine says of them: irises of so many times their radius."""
    painted = PaintedEye(PaintedEye.of(opening=0.5, iris_y=-0.02).eye, softness_px)
    luma = painted.picture().y
    beside = np.array([luma.shape[1], 0.0])
    left = replace(painted.eye, iris_radius=TRUE_RADIUS * engine)
    right = replace(left, upper=left.upper + beside, lower=left.lower + beside, iris=left.iris + beside)
    return np.hstack([luma, luma]), (left, right)


@pytest.mark.parametrize("engine", [0.88, 1.0, 1.12])
@pytest.mark.parametrize("softness_px", [0.7, 1.5])
def test_the_edges_of_both_irises_are_found(engine: float, softness_px: float) -> None:
    luma, eyes = a_pair(engine=engine, softness_px=softness_px)
    for found in limbus.refine(luma, eyes):
        assert pytest.approx(TRUE_RADIUS, rel=0.1) == found.iris_radius


@pytest.mark.parametrize("side", [0, 1])
def test_a_shadow_beside_one_iris_does_not_make_it_larger_than_the_other(side: int) -> None:
    """The nose pad of glasses darkened the white of a man's eye, and a third of it was moved as a part of the iris."""
    luma, eyes = a_pair(engine=1.16)
    middle = eyes[side].iris[0]
    rows, columns = np.indices(luma.shape)
    aside = (columns - middle) / TRUE_RADIUS
    luma[(aside > 0.5) & (aside < 1.7) & (luma > 100) & (np.abs(rows - eyes[side].iris[1]) < 14)] = 62
    pair = limbus.refine(luma, eyes)
    assert pytest.approx(1.0, abs=0.13) == pair[0].iris_radius / pair[1].iris_radius
    assert pytest.approx(TRUE_RADIUS, rel=0.1) == pair[1 - side].iris_radius


def test_irises_that_are_too_small_stay_as_they_were_found() -> None:
    luma, eyes = a_pair(engine=1.0)
    small = replace(eyes[0], iris_radius=3.0), replace(eyes[1], iris_radius=3.0)
    assert limbus.refine(luma, small) == small
