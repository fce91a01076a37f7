"""A painted eye whose gaze is known is turned to the lens: what is left is read off by painting it anew.

The ruler is the painter: of eyes painted in all directions close to the lens, the one most like the corrected picture
says where that looks. No landmarks, no estimator, presentation gain 1.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.corrector import iris_shift_px
from media.gaze.draw.redraw import redraw
from media.gaze.estimate.geometry import Axes, Eye, Outline

Gaze = tuple[float, float]
Picture = NDArray[np.float32]

MIDDLE, WIDTH, HEIGHT = (160.0, 100.0), 120.0, 200
IRIS_RADIUS = 24.0
BALL_RADIUS = IRIS_RADIUS * 12.05 / 5.85  # an eyeball's against an iris', in millimetres
SKIN, WHITE, SHADE, IRIS, RING, PUPIL = 150, 200, 60, 90, 50, 25
UPPER_FOLLOWS, LOWER_FOLLOWS = 0.9, 0.45  # lids follow up and down a little less than the correction supposes
X, Y = np.meshgrid((np.arange(320) + 0.5 - MIDDLE[0]) / WIDTH, (np.arange(HEIGHT) + 0.5 - MIDDLE[1]) / WIDTH)
DIRECTIONS = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]


def an_eye_that_looks(gaze_deg: Gaze) -> Eye:
    """Give the outline of an eye that looks so; its lids go along with pitch."""
    right, down = (-part for part in iris_shift_px(gaze_deg, BALL_RADIUS, 1.0))
    x = np.linspace(-0.5, 0.5, 9)
    arch = 1 - 4 * x**2
    upper = np.stack([x * WIDTH, arch * (UPPER_FOLLOWS * down - 0.26 * WIDTH)], axis=1) + MIDDLE
    lower = np.stack([x * WIDTH, arch * (LOWER_FOLLOWS * down + 0.12 * WIDTH)], axis=1) + MIDDLE
    return Eye(upper, lower, np.array([MIDDLE[0] + right, MIDDLE[1] + down - 0.06 * WIDTH]), IRIS_RADIUS)


@lru_cache(maxsize=512)
def painted(gaze_deg: Gaze) -> Picture:
    """Paint it: white that darkens to the corners, an iris with a dark rim, a pupil, and skin around."""
    eye = an_eye_that_looks(gaze_deg)
    top, bottom = (eye.upper[4, 1] - MIDDLE[1]) / WIDTH, (eye.lower[4, 1] - MIDDLE[1]) / WIDTH
    arch = 1 - 4 * X**2
    open_ = np.clip(np.minimum(Y - top * arch, bottom * arch - Y) * WIDTH / 2 + 0.5, 0, 1) * (np.abs(X) < 0.5)
    distance = np.hypot(X * WIDTH + MIDDLE[0] - eye.iris[0], Y * WIDTH + MIDDLE[1] - eye.iris[1])
    white = WHITE - SHADE * (2 * X) ** 2
    ball = _over(white, np.where(distance < 0.8 * IRIS_RADIUS, IRIS, RING), IRIS_RADIUS - distance)
    ball = _over(ball, np.full_like(X, PUPIL), 0.4 * IRIS_RADIUS - distance)
    return np.asarray(SKIN + open_ * (ball - SKIN), np.float32)


def _over(below: NDArray[Any], above: NDArray[Any], inside_px: NDArray[Any]) -> Picture:  # Any: of any precision
    return np.asarray(below + np.clip(inside_px / 2 + 0.5, 0, 1) * (above - below), np.float32)


def looks(picture: Picture, within_deg: int = 6) -> Gaze:
    """Find the direction, to a degree, in which a painted eye is most like this one."""
    steps = range(-within_deg, within_deg + 1)
    apart = {(yaw, pitch): np.square(painted((yaw, pitch)) - picture).sum() for yaw in steps for pitch in steps}
    return min(apart, key=lambda gaze: apart[gaze])


def turned_to_the_lens(gaze_deg: Gaze, light: NDArray[Any] | float = 1.0) -> Picture:  # Any: of any precision
    """Correct a painted eye by its true gaze, in a light that may differ from place to place."""
    grey = np.full((HEIGHT // 2, 160), 128, np.uint8)
    frame = Planes(np.rint(painted(gaze_deg) * light).astype(np.uint8), grey, grey.copy(), 0, 0.0)
    eye = an_eye_that_looks(gaze_deg)
    axes = Axes.of(eye)
    assert redraw(frame, axes, Outline.of(eye, axes), iris_shift_px(gaze_deg, BALL_RADIUS, 1.0)) is not None
    return frame.y.astype(np.float32)


@pytest.mark.parametrize("gaze", [(0.0, 0.0), (3.0, -2.0), (-5.0, 4.0)])
def test_the_ruler_reads_what_was_painted(gaze: Gaze) -> None:
    assert gaze == looks(painted(gaze))


@pytest.mark.parametrize("degrees", [5, 10, 15, 20])
@pytest.mark.parametrize("direction", DIRECTIONS, ids=str)
def test_of_a_known_gaze_at_most_two_degrees_are_left(direction: tuple[int, int], degrees: int) -> None:
    scale = degrees / np.hypot(*direction)
    left = looks(turned_to_the_lens((direction[0] * scale, direction[1] * scale)))
    assert np.hypot(*left) <= 2.0


@pytest.mark.parametrize("gaze", [(12.0, 0.0), (-18.0, 3.0), (4.0, -14.0)])
def test_the_pupil_goes_the_iris_whole_way(gaze: Gaze) -> None:
    """A light iris between its dark rim and the pupil is no catch-light, which would stay behind."""
    rows, columns = np.indices(X.shape) + 0.5
    pupil = np.clip(45 - turned_to_the_lens(gaze), 0, None)
    found = np.array([(pupil * columns).sum(), (pupil * rows).sum()]) / pupil.sum()
    assert pytest.approx(an_eye_that_looks((0.0, 0.0)).iris, abs=0.6) == found


def test_white_that_comes_out_in_the_shade_is_not_as_bright_as_in_the_light() -> None:
    """Of an eye turned 20 degrees aside, the far corner lies in the shade; the white painted there stays below."""
    corrected = turned_to_the_lens((20.0, 0.0), np.where(X > 0.2, 0.55, 1.0))
    row = round(MIDDLE[1])
    lit, shaded = corrected[row, 160 - 42 : 160 - 32].mean(), corrected[row, 160 + 32 : 160 + 42].mean()
    assert 0.5 * lit < shaded < 0.88 * lit


def test_white_that_comes_out_in_the_shade_has_as_much_less_colour() -> None:
    """White lit by a warm lamp is no orange patch where it is painted darker."""
    luma, warm = np.rint(painted((20.0, 0.0)) * np.where(X > 0.2, 0.55, 1.0)).astype(np.uint8), 100
    blue, red = (np.full((HEIGHT // 2, 160), value, np.uint8) for value in (warm, 256 - warm))
    frame = Planes(luma, blue, red, 0, 0.0)
    eye = an_eye_that_looks((20.0, 0.0))
    axes = Axes.of(eye)
    redraw(frame, axes, Outline.of(eye, axes), iris_shift_px((20.0, 0.0), BALL_RADIUS, 1.0))
    row, lit, shaded = round(MIDDLE[1]) // 2, slice(59, 64), slice(96, 101)
    less = frame.y[2 * row, 192:202].mean() / frame.y[2 * row, 118:128].mean()
    assert less < 0.88
    for plane in (frame.u, frame.v):
        colour = plane[row].astype(float) - 128
        assert pytest.approx(less, abs=0.15) == colour[shaded].mean() / colour[lit].mean()
