"""Where the landmarks lag, the old iris does not stay below the moved one."""

from dataclasses import replace

import numpy as np
import pytest

from media.gaze.draw import lower_lid
from media.gaze.draw.redraw import redraw
from media.gaze.draw.warp import eye_box
from media.gaze.estimate.geometry import Outline
from tests.media.gaze.draw.painted import IRIS, SKIN, PaintedEye


def raised(outline: Outline, by: float) -> Outline:
    """Return the outline with its lower lid measured so much too high at the middle."""
    return replace(outline, lower=outline.lower - np.array([4 * by, 0, 0]))


@pytest.mark.parametrize("too_high", [0.04, 0.06, 0.09])
@pytest.mark.parametrize("iris_x", [0.0, 0.1, -0.1])
@pytest.mark.parametrize("softness_px", [0.7, 1.4])
def test_no_black_bar_stays_below_a_lifted_iris(too_high: float, iris_x: float, softness_px: float) -> None:
    painted = PaintedEye(PaintedEye.of(iris_x=iris_x, iris_y=0.0, opening=0.5).eye, softness_px)
    frame = painted.picture()
    assert redraw(frame, painted.axes, raised(painted.outline, too_high), (0.0, -7.0)) is not None
    column, row = (int(value) for value in painted.eye.iris)
    below = frame.y[row : row + 25, column - 3 : column + 4].mean(axis=1)
    lid = int(np.flatnonzero(below > (IRIS + SKIN) / 2)[0])
    assert below[lid:].min() > (IRIS + SKIN) / 2  # where the iris has ended, nothing dark follows


@pytest.mark.parametrize("too_low", [0.03, 0.05])
@pytest.mark.parametrize("iris_x", [0.0, 0.1, -0.1])
@pytest.mark.parametrize("softness_px", [0.7, 1.4, 2.4])
def test_no_skin_is_moved_as_a_part_of_the_iris(too_low: float, iris_x: float, softness_px: float) -> None:
    """Of narrowed eyes the landmarks lie on the lid; a light strip and a dark edge were drawn in the iris."""
    painted = PaintedEye(PaintedEye.of(iris_x=iris_x, iris_y=0.02).eye, softness_px)
    frame = painted.picture()
    assert redraw(frame, painted.axes, raised(painted.outline, -too_low), (0.0, -5.0)) is not None
    column, row = (int(value) for value in painted.eye.iris)
    below = frame.y[row - 5 : row + 20, column - 3 : column + 4].mean(axis=1)
    end = int(np.flatnonzero(below > (IRIS + SKIN) / 2)[0])
    assert below[end:].min() > (IRIS + SKIN) / 2
    true_end = painted.moved((0.0, -5.0)).picture().y[row - 5 : row + 20, column - 3 : column + 4].mean(axis=1)
    assert end >= int(np.flatnonzero(true_end > (IRIS + SKIN) / 2)[0]) - 4  # the lower lid follows by half of the way


@pytest.mark.parametrize("iris_y", [-0.14, -0.06, 0.0])
@pytest.mark.parametrize("softness_px", [0.7, 1.4, 2.4])
def test_a_lid_that_is_measured_well_stays(iris_y: float, softness_px: float) -> None:
    painted = PaintedEye(PaintedEye.of(iris_y=iris_y).eye, softness_px)
    luma, outline = painted.picture().y, painted.outline
    box = eye_box(painted.axes, (luma.shape[0], luma.shape[1]))
    assert box is not None
    assert lower_lid.fit(luma[box.slices()], painted.axes, outline, box, lifted=True) is outline
