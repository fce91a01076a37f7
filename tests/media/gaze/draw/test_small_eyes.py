"""Eyes of 16 to 40 pixels are drawn like large ones: the iris whole, its colour with it, no pattern of pixels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from media.gaze.draw.redraw import redraw
from tests.media.gaze.draw.painted import PaintedEye
from tests.media.gaze.synthetic import copied

WIDTHS = (16.0, 20.0, 24.0, 32.0, 40.0)
WAYS = ((-0.08, 0.0), (0.06, -0.05), (0.0, -0.10))  # in eye widths


def inner_eye(painted: PaintedEye, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape) + 0.5
    width = painted.eye.width
    upper, lower = (np.interp(columns, lid[:, 0], lid[:, 1]) for lid in (painted.eye.upper, painted.eye.lower))
    return np.asarray((rows > upper + 0.14 * width) & (rows < lower - 0.04 * width), np.bool_)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("softness_px", [0.6, 1.0])
def test_a_small_eye_looks_like_one_that_looks_there(
    width: float, way: tuple[float, float], softness_px: float
) -> None:
    """Compared with the painted truth: within the lids, brightness and both colours are close."""
    painted = PaintedEye(PaintedEye.of(width=width, opening=0.42).eye, softness_px)
    shift = (way[0] * width, way[1] * width)
    after, truth = copied(painted.picture()), painted.moved(shift).picture()
    was = painted.picture()
    assert redraw(after, painted.axes, painted.outline, shift) is not None
    inside = inner_eye(painted, after.y.shape)
    apart = np.abs(after.y[inside].astype(int) - truth.y[inside]).mean()
    assert apart <= 0.55 * np.abs(was.y[inside].astype(int) - truth.y[inside]).mean()
    half = inside.reshape(inside.shape[0] // 2, 2, inside.shape[1] // 2, 2).all(axis=(1, 3))
    for now, true, old in ((after.u, truth.u, was.u), (after.v, truth.v, was.v)):
        apart = np.abs(now[half].astype(int) - true[half]).mean()
        assert apart <= max(0.6 * np.abs(old[half].astype(int) - true[half]).mean(), 1.5)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("way", WAYS)
def test_no_checkerboard(width: float, way: tuple[float, float]) -> None:
    """Neighbours that differ in turns would be seen as a pattern; a moved edge is not one."""
    painted = PaintedEye(PaintedEye.of(width=width, opening=0.42).eye, 0.8)
    before = painted.picture()
    after = copied(before)
    assert redraw(after, painted.axes, painted.outline, (way[0] * width, way[1] * width)) is not None
    truth = painted.moved((way[0] * width, way[1] * width)).picture()
    for now, old, true in ((after.y, before.y, truth.y), (after.u, before.u, truth.u), (after.v, before.v, truth.v)):
        most = max(checkerboard(old), checkerboard(true))
        assert checkerboard(now) <= max(1.35 * most, most + 4)


def checkerboard(plane: NDArray[np.uint8]) -> float:
    """Return the largest difference between the diagonals of 2 × 2 pixels."""
    four = plane.astype(int)
    return float(np.percentile(np.abs(four[:-1, :-1] + four[1:, 1:] - four[:-1, 1:] - four[1:, :-1]), 99.5))
