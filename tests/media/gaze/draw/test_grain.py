"""New sclera has the picture's noise; clean pictures get none."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from media.gaze.draw import grain
from media.gaze.draw.redraw import redraw
from tests.media.gaze.draw.painted import PaintedEye
from tests.media.gaze.synthetic import copied, same

WAYS = ((-8.0, 0.0), (8.0, -3.0), (0.0, -6.0))


def noise(luma: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Return the standard deviation of what a slight blur removes."""
    plain = luma.astype(np.float32)
    return float((plain - cv2.GaussianBlur(plain, (0, 0), 1.0))[where].std())


def beside_iris(painted: PaintedEye, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the sclera well inside of the lids and away from the iris."""
    rows, columns = np.indices(shape) + 0.5
    upper, lower = (np.interp(columns, lid[:, 0], lid[:, 1]) for lid in (painted.eye.upper, painted.eye.lower))
    distance = np.hypot(columns - painted.eye.iris[0], rows - painted.eye.iris[1]) / painted.eye.iris_radius
    return np.asarray((rows > upper + 9) & (rows < lower - 5) & (distance > 1.3), np.bool_)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("level", [3.0, 6.0])
def test_sclera_that_was_stretched_or_new_is_as_noisy_as_before(way: tuple[float, float], level: float) -> None:
    painted = replace(PaintedEye.of(width=90.0, opening=0.42), brightness=0.4, grain=level)
    before = painted.picture()
    after = copied(before)
    assert redraw(after, painted.axes, painted.outline, way) is not None
    moved = painted.moved(way)
    was = noise(before.y, beside_iris(painted, before.y.shape))
    now = noise(after.y, beside_iris(moved, after.y.shape))
    assert 0.8 * was <= now <= 1.2 * was


def test_the_same_frame_gets_the_same_noise() -> None:
    painted = replace(PaintedEye.of(width=90.0, opening=0.42), brightness=0.4, grain=5.0)
    first, second = painted.picture(), painted.picture()
    for frame in (first, second):
        redraw(frame, painted.axes, painted.outline, WAYS[0])
    assert same(first, second)


def test_a_clean_eyeball_gets_no_noise_from_textured_skin() -> None:
    clean = np.full((30, 40), 150, np.uint8)
    skin = np.clip(np.random.default_rng(1).normal(150, 6, (20, 40)), 0, 255).astype(np.uint8)
    drawn, mask = clean.astype(np.float32), np.ones(clean.shape, np.float32)
    assert np.array_equal(drawn, grain.restore(drawn, clean, skin, mask))


@pytest.mark.parametrize("rows", [0, 1, 3, 7])
def test_little_skin_below_an_eye_suffices(rows: int) -> None:
    rng = np.random.default_rng(2)
    picture, skin = (rng.normal(60, 5, (height, 40)).astype(np.uint8) for height in (30, rows))
    drawn = np.full(picture.shape, 60, np.float32)
    found = grain.restore(drawn, picture, skin, np.ones(picture.shape, np.float32))
    assert drawn.shape == found.shape
    assert np.isfinite(found).all()
