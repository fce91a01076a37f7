"""The width of the iris' edge is measured, and a redrawn eye keeps it."""

import numpy as np
import pytest

from media.gaze.draw import iris_edge, warp
from media.gaze.draw.redraw import redraw
from tests.media.gaze.draw.painted import PaintedEye
from tests.media.gaze.synthetic import copied

STEEPEST = 2.507  # width of a blurred step by its steepest slope, over the blur's sigma: the root of 2 pi


def measured(painted: PaintedEye) -> float:
    """Return the measured width in pixels."""
    luma, axes = painted.picture().y, painted.axes
    box = warp.eye_box(axes, (luma.shape[0], luma.shape[1]))
    assert box is not None
    edge = iris_edge.measure(luma[box.slices()], axes, painted.outline, box)
    return edge.width * painted.eye.iris_radius


@pytest.mark.parametrize("softness_px", [1.0, 1.5, 2.0, 2.5])
def test_the_width_of_the_edge_follows_the_blur(softness_px: float) -> None:
    painted = PaintedEye(PaintedEye.of().eye, softness_px)
    assert pytest.approx(STEEPEST * softness_px, rel=0.25) == measured(painted)


def test_a_picture_as_sharp_as_pixels_has_the_sharp_edge() -> None:
    painted = PaintedEye(PaintedEye.of(width=120.0).eye, 0.4)
    assert pytest.approx(iris_edge.SHARP * painted.eye.iris_radius, rel=0.15) == measured(painted)


def test_a_shut_eye_has_no_edge_and_breaks_nothing() -> None:
    painted = PaintedEye(PaintedEye.of(opening=0.02).eye)
    assert measured(painted) <= iris_edge.SOFTEST * painted.eye.iris_radius


@pytest.mark.parametrize("softness_px", [2.0, 3.0])
@pytest.mark.parametrize("way", [(0.0, -4.5), (-6.0, -3.0), (8.0, 0.0)])
def test_a_soft_eye_stays_soft(softness_px: float, way: tuple[float, float]) -> None:
    """No slope around the moved iris is steeper than the picture's own steepest one."""
    painted = PaintedEye(PaintedEye.of(iris_y=0.02).eye, softness_px)
    before = painted.picture()
    after = copied(before)
    assert redraw(after, painted.axes, painted.outline, way) is not None
    assert steepest(after.y, painted, way) <= 1.2 * steepest(before.y, painted, (0.0, 0.0))


def steepest(luma: np.ndarray, painted: PaintedEye, way: tuple[float, float]) -> float:
    """Return the steepest slope on a ring about the limbus, between the lids, in grey levels a pixel."""
    rows, columns = np.indices(luma.shape) + 0.5
    x, y = painted.eye.iris + np.array(way)
    distance = np.hypot(columns - x, rows - y) / painted.eye.iris_radius
    upper, lower = (np.interp(columns, lid[:, 0], lid[:, 1]) for lid in (painted.eye.upper, painted.eye.lower))
    ring = (distance > 0.8) & (distance < 1.6) & (rows > upper + 0.14 * painted.eye.width) & (rows < lower + 3)
    down, right = np.gradient(luma.astype(np.float64))
    return float(np.percentile(np.hypot(down, right)[ring], 98))
