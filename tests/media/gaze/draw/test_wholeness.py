"""Pupil, lights and iris stay one piece, and no eye is turned further than the picture has to show."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.draw import bounds, glints
from media.gaze.draw.eyelids import EyeMovement
from media.gaze.draw.redraw import redraw
from media.gaze.draw.spectacles import SpectacleRim
from media.gaze.draw.warp import eye_box
from media.gaze.estimate.geometry import Box, Outline, height
from tests.media.gaze.draw.painted import IRIS, LIGHT, PUPIL, SCLERA, PaintedEye
from tests.media.gaze.synthetic import copied

WAYS = ((0.0, -6.0), (-6.0, 0.0), (5.0, -4.0))


def redrawn(painted: PaintedEye, way: tuple[float, float]) -> tuple[Planes, Planes]:
    """Return the picture before and after."""
    before = painted.picture()
    after = copied(before)
    assert redraw(after, painted.axes, painted.outline, way) is not None
    return before, after


def disc(
    luma: NDArray[np.uint8], painted: PaintedEye, way: tuple[float, float], radii: float = 0.7
) -> NDArray[np.int_]:
    """Return the middle of the iris, moved by a whole number of pixels."""
    x, y = (round(value) for value in painted.eye.iris)
    reach = round(0.7 * painted.eye.iris_radius)
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    top, left = y + round(way[1]) - reach, x + round(way[0]) - reach
    patch = luma[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(int)
    return np.where(np.hypot(rows, columns) <= reach, patch, 0)


@pytest.mark.parametrize("light", ["ring", "wide", "two"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("softness_px", [0.7, 1.6])
def test_pupil_and_wide_lights_move_as_one_piece(light: str, way: tuple[float, float], softness_px: float) -> None:
    """The iris moves a little less up than asked where it would leave the lower lid: the closest place counts."""
    painted = PaintedEye(PaintedEye.of(iris_y=-0.08, opening=0.42).eye, softness_px, light)
    before, after = redrawn(painted, way)
    places = [(way[0] + x, way[1] + y) for x in (-1, 0, 1) for y in (-1, 0, 1, 2, 3)]
    apart = min(np.abs(disc(before.y, painted, (0, 0)) - disc(after.y, painted, to)).mean() for to in places)
    assert apart <= 6.0


@pytest.mark.parametrize("softness_px", [1.6, 3.0, 4.5])
@pytest.mark.parametrize(("iris_y", "opening"), [(-0.06, 0.34), (-0.03, 0.42), (-0.04, 0.42)])
@pytest.mark.parametrize("lift_px", [8.0, 11.0])
def test_an_iris_whose_lower_end_was_covered_ends_round(
    softness_px: float, iris_y: float, opening: float, lift_px: float
) -> None:
    """In soft pictures its middle column went on down by up to half a radius: it looked like a drop or a heart."""
    painted = PaintedEye(PaintedEye.of(width=100.0, iris_y=iris_y, opening=opening).eye, softness_px)
    _, after = redrawn(painted, (0.0, -lift_px))
    shift = EyeMovement.of(painted.outline, (0.0, -lift_px / painted.eye.width)).iris_shift
    centre = painted.eye.iris + np.array(shift) * painted.eye.width
    radius = painted.eye.iris_radius
    beyond = {aside: _end_of_iris(after.y, centre, aside * radius) / radius for aside in (-0.3, 0.0, 0.3)}
    circle = {aside: float(np.sqrt(1 - aside**2)) for aside in beyond}
    left, middle, right = (beyond[aside] - circle[aside] for aside in beyond)
    assert middle < max(left, right) + 0.04


def _end_of_iris(luma: NDArray[np.uint8], centre: NDArray[np.float64], aside: float) -> float:
    """Return how far below its centre an iris ends in a column, in pixels: at half of the step to the sclera."""
    column = luma[round(centre[1] - 0.5) :, round(centre[0] + aside - 0.5)].astype(float)
    first = int((column > (IRIS + SCLERA) / 2).argmax())
    rise = column[first] - column[first - 1]
    row = round(centre[1] - 0.5) + first - (column[first] - (IRIS + SCLERA) / 2) / rise
    return float(row + 0.5 - centre[1])


def test_one_lamp_moves_half_as_far_still() -> None:
    painted = PaintedEye(PaintedEye.of(width=100.0, opening=0.42).eye, light="lamp")
    box = box_of(painted)
    found = glints.find(painted.picture().y[box.slices()], painted.axes, painted.outline, box)
    assert found is not None
    assert pytest.approx(glints.FOLLOWS, abs=0.01) == found.follows


@pytest.mark.parametrize("light", ["ring", "wide", "two"])
def test_wide_lights_are_told_from_one_lamp(light: str) -> None:
    painted = PaintedEye(PaintedEye.of(width=100.0, opening=0.42).eye, light=light)
    box = box_of(painted)
    found = glints.find(painted.picture().y[box.slices()], painted.axes, painted.outline, box)
    assert found is None or found.follows > 0.95  # without glints, everything moves with the iris


def box_of(painted: PaintedEye) -> Box:
    height_px, width_px = painted.picture().y.shape
    found = eye_box(painted.axes, (height_px, width_px))
    assert found is not None
    return found


def test_a_light_is_no_brighter_and_a_pupil_no_less_dark_than_before() -> None:
    before, after = redrawn(PaintedEye(PaintedEye.of(opening=0.42).eye, light="ring"), (0.0, -6.0))
    assert after.y.max() <= before.y.max() + 4 <= LIGHT + 4
    assert after.y.min() >= before.y.min() - 4
    assert before.y.min() < PUPIL + 20 < SCLERA


@pytest.mark.parametrize("aside", [-1, 1])
def test_an_iris_in_the_corner_is_left_there(aside: int) -> None:
    """Nothing of the sclera on that side is in the picture: lashes and skin would be drawn as triangles."""
    painted = PaintedEye.of(iris_x=aside * 0.33)
    eyes = [(painted.axes, painted.outline)]
    assert bounds.share_for_all(eyes, (-aside * 6.0, 0.0)) == 0
    assert bounds.share_for_all(eyes, (aside * 3.0, 0.0)) == 1  # to its own corner there is no such need


def test_one_eye_without_room_holds_the_other_one_back() -> None:
    free, cornered = PaintedEye.of(iris_x=0.15), PaintedEye.of(iris_x=0.31)
    alone = bounds.share_for_all([(free.axes, free.outline)], (-6.0, 0.0))
    both = bounds.share_for_all([(one.axes, one.outline) for one in (free, cornered)], (-6.0, 0.0))
    assert alone == 1
    assert both < 0.1


def test_the_share_fades_while_an_iris_comes_out_of_its_corner() -> None:
    shares = []
    for x in np.arange(0.30, 0.15, -0.01):
        painted = PaintedEye.of(iris_x=float(x))
        shares.append(bounds.share_for_all([(painted.axes, painted.outline)], (-6.0, -2.0)))
    assert shares[0] == 0
    assert pytest.approx(1) == shares[-1]
    assert np.diff(shares).min() >= -1e-9
    assert np.diff(shares).max() < 0.35


def test_up_and_down_need_no_room_aside() -> None:
    painted = PaintedEye.of(iris_x=0.33)
    assert bounds.share_for_all([(painted.axes, painted.outline)], (0.0, -6.0)) == 1


@pytest.mark.parametrize("down", [-0.20, -0.12, -0.06, 0.06, 0.12])
@pytest.mark.parametrize("rim", [None, SpectacleRim((-0.34, 0.0, 0.0), 1.0)])
@pytest.mark.parametrize("iris_y", [-0.10, -0.02])
def test_lids_cover_little_more_of_an_iris_than_before(down: float, rim: SpectacleRim | None, iris_y: float) -> None:
    """Below a rim of spectacles the lid stays: the iris must not go on alone, under it."""
    outline = PaintedEye.of(iris_y=iris_y).outline
    moved = EyeMovement.of(outline, (0.02, down), rim)
    before, after = visible(outline, (0.0, 0.0), (0.0, 0.0)), visible(outline, moved.iris_shift, moved.lid_shifts)
    assert after >= 0.88 * before


def visible(outline: Outline, shift: tuple[float, float], lids: tuple[float, float]) -> float:
    """Return the share of the iris' disc that lies between the lids."""
    right, down = np.meshgrid(np.linspace(-1, 1, 81), np.linspace(-1, 1, 81))
    inside = np.hypot(right, down) <= 1
    x = np.asarray(outline.iris[0] + shift[0] + outline.radius * right[inside], np.float32)
    y = outline.iris[1] + shift[1] + outline.radius * down[inside]
    arch = np.maximum(1 - 4 * x * x, 0)
    upper, lower = height(outline.upper, x) + lids[0] * arch, height(outline.lower, x) + lids[1] * arch
    return float(((y > upper) & (y < lower)).mean())


@pytest.mark.parametrize("aside", [-1, 1])
def test_the_covered_part_of_an_iris_is_filled_in_without_a_step(aside: int) -> None:
    """Where a lid slants and the iris was measured too large, both sides met in a black tooth below the iris."""
    painted = PaintedEye.of(iris_y=0.03)
    slanting = painted.outline.lower + np.array([0.0, -0.9 * aside, 0.0])
    radius, (x, y) = painted.outline.radius, painted.outline.iris
    outline = replace(painted.outline, lower=slanting, radius=1.3 * radius, iris=(x + 0.06 * aside, y))
    frame = painted.picture()
    assert redraw(frame, painted.axes, outline, (0.0, -7.0)) is not None
    column, row = (int(value) for value in painted.eye.iris)
    filled = frame.y[row : row + 9, column - 8 : column + 9].astype(int)
    assert np.abs(np.diff(filled, axis=1)).max() < 45
