"""A drawn eye has no ring, no sliver and no line that is thinner and brighter or darker than the picture's own."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from media.gaze.draw import bounds, thin_lines
from media.gaze.draw.redraw import redraw
from tests.media.gaze.draw.painted import PaintedEye
from tests.media.gaze.synthetic import copied

RING, BEYOND = (1.05, 1.35), (1.4, 1.75)  # radii of the iris
NOTICED = 8.0  # grey levels


def ring_over_sclera(luma: NDArray[np.uint8], painted: PaintedEye, way: tuple[float, float]) -> float:
    """Return how far a thin ring about the iris is brighter than the sclera around it, in its brightest direction."""
    rows, columns = np.indices(luma.shape) + 0.5
    x, y = painted.eye.iris + np.array(way)
    distance = np.hypot(columns - x, rows - y) / painted.eye.iris_radius
    upper, lower = (np.interp(columns, lid[:, 0], lid[:, 1]) for lid in (painted.eye.upper, painted.eye.lower))
    between = (rows > upper + 0.1 * painted.eye.width) & (rows < lower - 0.06 * painted.eye.width)
    angle = np.floor((np.arctan2(rows - y, columns - x) + np.pi) / (np.pi / 6))
    excess = [-255.0]
    for sector in range(12):
        here = between & (angle == sector)
        ring = here & (distance > RING[0]) & (distance < RING[1])
        beyond = here & (distance > BEYOND[0]) & (distance < BEYOND[1])
        if ring.sum() >= 4 and beyond.sum() >= 4:
            excess.append(float(np.percentile(luma[ring], 90)) - float(np.percentile(luma[beyond], 90)))
    return max(excess)


@pytest.mark.parametrize("softness_px", [0.6, 1.2, 2.4])
@pytest.mark.parametrize("lit", [-60.0, 0.0, 60.0])
@pytest.mark.parametrize("way", [(0.0, -4.0), (-7.0, -2.0), (7.0, 0.0)])
def test_no_bright_ring_around_a_moved_iris(softness_px: float, lit: float, way: tuple[float, float]) -> None:
    """Light from a side, so that new sclera is brighter than the one that was beside the iris."""
    painted = PaintedEye(PaintedEye.of(opening=0.42, iris_y=-0.05).eye, softness_px, lit=lit)
    before = painted.picture()
    after = copied(before)
    assert redraw(after, painted.axes, painted.outline, way) is not None
    truth = painted.moved(way)
    expected = max(ring_over_sclera(before.y, painted, (0, 0)), ring_over_sclera(truth.picture().y, truth, (0, 0)), 0)
    assert ring_over_sclera(after.y, painted, way) <= expected + NOTICED


@pytest.mark.parametrize("softness_px", [1.0, 2.0])
@pytest.mark.parametrize("share", [0.2, 0.3, 0.5])
@pytest.mark.parametrize(("aside", "x"), [(-1, 0.18), (1, 0.20), (-1, 0.24), (1, 0.27), (-1, 0.30)])
def test_no_sliver_at_the_corner_that_an_iris_leaves(softness_px: float, share: float, aside: int, x: float) -> None:
    painted = PaintedEye(PaintedEye.of(iris_x=aside * x, iris_y=-0.04).eye, softness_px)
    before = painted.picture()
    after = copied(before)
    way = -aside * share * 10.0
    allowed = bounds.share_for_all([(painted.axes, painted.outline)], (way, 0.0))
    redraw(after, painted.axes, painted.outline, (allowed * way, 0.0))
    assert slivers(before.y, after.y, painted.eye.width) == 0


@pytest.mark.parametrize("softness_px", [1.2, 2.0, 3.0])
@pytest.mark.parametrize("iris_y", [-0.02, 0.02, 0.05])
@pytest.mark.parametrize("up", [3.0, 5.0])
def test_a_soft_eye_that_is_lifted_shows_no_bright_arc(softness_px: float, iris_y: float, up: float) -> None:
    """A contact lens was seen where hard masks joined soft layers, below all."""
    painted = PaintedEye(PaintedEye.of(iris_y=iris_y).eye, softness_px)
    before = painted.picture()
    after = copied(before)
    assert redraw(after, painted.axes, painted.outline, (0.0, -up)) is not None
    assert slivers(before.y, after.y, painted.eye.width) == 0


def slivers(before: NDArray[np.uint8], after: NDArray[np.uint8], eye_px: float) -> int:
    """Count pixels of new bright features that are narrower than a twelfth of the eye, and brighter than all near."""
    narrow = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(eye_px / 24) + 1,) * 2)
    near = np.ones((2 * round(eye_px / 12) + 1,) * 2, np.uint8)
    stood, stands = (cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, narrow).astype(int) for luma in (before, after))
    beside = cv2.dilate(cv2.morphologyEx(before, cv2.MORPH_TOPHAT, narrow), near).astype(int)
    return int(((stands - np.maximum(stood, beside)) > 12).sum())


def test_what_was_not_moved_is_not_changed() -> None:
    luma = PaintedEye(PaintedEye.of().eye, 0.5, grain=6.0).picture().y
    drawn, mask = luma.astype(np.float32), np.ones(luma.shape, np.float32)
    assert np.array_equal(drawn, thin_lines.remove(drawn, luma, mask, 0.0, 60.0))


def test_a_line_that_the_picture_has_may_move_and_a_new_one_goes() -> None:
    luma = np.full((60, 100), 120, np.uint8)
    luma[20] = 200
    moved = np.roll(luma, 3, axis=0).astype(np.float32)
    mask = np.ones(luma.shape, np.float32)
    assert np.array_equal(moved, thin_lines.remove(moved, luma, mask, 3.0, 60.0))
    for level in (190, 60):
        drawn = moved.copy()
        drawn[45, 10:80] = level
        found = thin_lines.remove(drawn, luma, mask, 3.0, 60.0)
        assert np.abs(found[45] - 120).max() <= thin_lines.MARGIN
