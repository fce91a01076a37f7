"""What the cornea mirrors goes only a part of the iris' way, and stays as bright as it was."""

import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze import lights
from media.gaze.outline import Axes, Box, Outline
from media.gaze.redraw import redraw
from tests.media.gaze.sitting import an_eye, copied, same

DARK, WHITE, SKIN, LIGHT = 40, 190, 150, 230
IRIS = (160.0, 88.0)
EYE = an_eye(middle=(160.0, 100.0), width=120.0, opening=0.42)
AXES = Axes.of(EYE)
OUTLINE = Outline.of(EYE, AXES)


def an_eyes_picture(light: tuple[float, float] | None) -> Planes:
    """Paint a dark iris of 24 px radius on white, and a light of 4 px radius on it if wanted."""
    rows, columns = np.indices((200, 320)) + 0.5
    luma = np.full((200, 320), WHITE, np.uint8)
    luma[np.hypot(columns - IRIS[0], rows - IRIS[1]) < 24] = DARK
    if light is not None:
        luma[np.hypot(columns - light[0], rows - light[1]) < 4] = LIGHT
    grey = np.full((100, 160), 128, np.uint8)
    return Planes(luma, grey, grey.copy(), 0, 0.0)


def middle_of_light(luma: NDArray[np.uint8], around: tuple[float, float]) -> tuple[float, float]:
    """Find the centre of gravity of what is brighter than the iris close to a place."""
    rows, columns = np.indices(luma.shape) + 0.5
    near = np.hypot(columns - around[0], rows - around[1]) < 10
    bright = np.where(near, np.clip(luma.astype(np.float64) - 100, 0, None), 0)
    return float((bright * columns).sum() / bright.sum()), float((bright * rows).sum() / bright.sum())


@pytest.mark.parametrize("way", [(-10.0, 0.0), (8.0, 0.0), (-9.0, -4.0)])
def test_a_light_goes_a_little_more_than_half_the_iris_way(way: tuple[float, float]) -> None:
    light = (IRIS[0], IRIS[1])
    frame = an_eyes_picture(light)
    assert redraw(frame, AXES, OUTLINE, way) is not None
    expected = (light[0] + lights.FOLLOWS * way[0], light[1] + lights.FOLLOWS * way[1])
    found = middle_of_light(frame.y, expected)
    assert pytest.approx(expected, abs=0.7) == found
    column, row = round(found[0] - 0.5), round(found[1] - 0.5)
    assert abs(int(frame.y[row, column]) - LIGHT) <= 10


def test_the_iris_under_a_lifted_light_is_as_dark_as_around_it() -> None:
    frame = an_eyes_picture(IRIS)
    box = Box(80, 40, 240, 160)
    found = lights.find(frame.y[box.slices()], AXES, OUTLINE, box)
    assert found is not None
    clean = lights.lifted(frame.y[box.slices()], found, 1)
    assert abs(int(clean[int(IRIS[1]) - box.top, int(IRIS[0]) - box.left]) - DARK) <= 3
    outside = np.ones(clean.shape, bool)
    outside[found.area.slices()] = False
    assert np.array_equal(frame.y[box.slices()][outside], clean[outside])


def test_an_iris_without_lights_has_none() -> None:
    box = Box(80, 40, 240, 160)
    assert lights.find(an_eyes_picture(None).y[box.slices()], AXES, OUTLINE, box) is None


def test_a_movement_of_nothing_changes_nothing_with_a_light_as_well() -> None:
    frame = an_eyes_picture(IRIS)
    before = copied(frame)
    assert redraw(frame, AXES, OUTLINE, (0.01, 0.0)) is None
    assert same(before, frame)
