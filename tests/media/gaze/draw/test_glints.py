"""Glints move only a part of the way of the iris, and keep their brightness."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.draw import glints
from media.gaze.draw.redraw import redraw
from media.gaze.estimate.geometry import Axes, Box, Outline
from tests.media.gaze.synthetic import an_eye, copied, same

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


@pytest.mark.parametrize("way", [(-10.0, 0.0), (8.0, 0.0), (-9.0, 4.0)])
def test_a_light_goes_a_little_more_than_half_the_iris_way(way: tuple[float, float]) -> None:
    light = (IRIS[0], IRIS[1])
    frame = an_eyes_picture(light)
    assert redraw(frame, AXES, OUTLINE, way) is not None
    expected = (light[0] + glints.FOLLOWS * way[0], light[1] + glints.FOLLOWS * way[1])
    found = middle_of_light(frame.y, expected)
    assert pytest.approx(expected, abs=0.7) == found
    column, row = round(found[0] - 0.5), round(found[1] - 0.5)
    assert abs(int(frame.y[row, column]) - LIGHT) <= 10


def test_the_iris_under_a_lifted_light_is_as_dark_as_around_it() -> None:
    frame = an_eyes_picture(IRIS)
    box = Box(80, 40, 240, 160)
    found = glints.find(frame.y[box.slices()], AXES, OUTLINE, box)
    assert found is not None
    clean = glints.without_glints(frame.y[box.slices()], found, 1)
    assert abs(int(clean[int(IRIS[1]) - box.top, int(IRIS[0]) - box.left]) - DARK) <= 3
    outside = np.ones(clean.shape, bool)
    outside[found.area.slices()] = False
    assert np.array_equal(frame.y[box.slices()][outside], clean[outside])


def test_an_iris_without_lights_has_none() -> None:
    box = Box(80, 40, 240, 160)
    assert glints.find(an_eyes_picture(None).y[box.slices()], AXES, OUTLINE, box) is None


def test_a_movement_of_nothing_changes_nothing_with_a_light_as_well() -> None:
    frame = an_eyes_picture(IRIS)
    before = copied(frame)
    assert redraw(frame, AXES, OUTLINE, (0.01, 0.0)) is None
    assert same(before, frame)


def test_a_lit_rim_is_no_light_where_the_iris_was_measured_too_large() -> None:
    """A ring of white inside the measured circle hangs together with the white around; a lamp lies alone."""
    box, too_large = Box(80, 40, 240, 160), replace(OUTLINE, radius=1.2 * OUTLINE.radius)
    assert glints.find(an_eyes_picture(None).y[box.slices()], AXES, too_large, box) is None
    found = glints.find(an_eyes_picture(IRIS).y[box.slices()], AXES, too_large, box)
    assert found is not None
    rows, columns = np.nonzero(found.mask > 0.5)
    far = np.hypot(columns + found.area.left + 80.5 - IRIS[0], rows + found.area.top + 40.5 - IRIS[1])
    assert far.max() < 10


def test_a_dim_light_in_a_dim_eye_is_kept_as_well() -> None:
    """A third of the light is left: the lamp is 18 grey levels above the iris, and goes half the way."""
    frame = an_eyes_picture(IRIS)
    frame.y[...] = np.where(frame.y == LIGHT, 42, np.where(frame.y == DARK, 24, 66))
    assert redraw(frame, AXES, OUTLINE, (-14.0, 0.0)) is not None
    column, row = round(IRIS[0] - 14 * glints.FOLLOWS - 0.5), round(IRIS[1] - 0.5)
    assert abs(int(frame.y[row, column]) - 42) <= 4
    assert abs(int(frame.y[row, round(IRIS[0] - 14 - 0.5) - 4]) - 24) <= 3


def test_the_white_mirrors_no_lamp() -> None:
    """A light at the rim would come to lie beside the iris that leaves it: it ends where the iris ends."""
    frame = an_eyes_picture((IRIS[0] + 16, IRIS[1]))
    assert redraw(frame, AXES, OUTLINE, (-22.0, 0.0)) is not None
    rows, columns = np.indices(frame.y.shape) + 0.5
    beside = (np.hypot(columns - IRIS[0] + 22, rows - IRIS[1]) > 1.06 * 24) & (np.abs(rows - IRIS[1]) < 6)
    assert frame.y[beside & (np.abs(columns - IRIS[0]) < 40)].max() <= WHITE + 2


def test_no_lit_rim_goes_along_with_an_iris_that_was_measured_too_large() -> None:
    """White that is lit beside the old iris and darker beside the new one leaves no bright arc between."""
    frame, way = an_eyes_picture(None), -20.0
    rows, columns = np.indices(frame.y.shape) + 0.5
    distance = np.hypot(columns - IRIS[0], rows - IRIS[1])
    frame.y[...] = np.where(distance < 24, DARK, np.clip(230 - 6 * (distance - 24), 110, 230))
    assert redraw(frame, AXES, replace(OUTLINE, radius=1.2 * OUTLINE.radius), (way, 0.0)) is not None
    row = frame.y[round(IRIS[1])].astype(int)
    rim, beside = round(IRIS[0] + way) + 25, round(IRIS[0] + way) + 36
    assert row[rim : rim + 5].max() <= row[beside : beside + 4].max() + 8


def test_a_soft_light_leaves_no_ring_where_it_was() -> None:
    frame = an_eyes_picture(None)
    rows, columns = np.indices(frame.y.shape) + 0.5
    soft = 40 * np.exp(-0.5 * ((columns - IRIS[0] - 2) ** 2 + (rows - IRIS[1]) ** 2) / 4**2)
    frame.y[...] = np.where(frame.y == DARK, DARK + soft, frame.y)
    assert redraw(frame, AXES, OUTLINE, (-26.0, 0.0)) is not None
    there = np.hypot(columns - IRIS[0] - 2 + 26, rows - IRIS[1]) < 9  # where the iris took it along
    assert frame.y[there & (columns < IRIS[0] - 26 * glints.FOLLOWS + 2 - 9)].max() <= DARK + 4


def test_a_lamp_across_the_rim_takes_no_bite_out_of_the_iris() -> None:
    """Half on the iris, half on the white, and brighter than it: where it was, the moved iris is dark to 0.8 radii."""
    frame = an_eyes_picture((IRIS[0] + 22, IRIS[1]))
    assert redraw(frame, AXES, OUTLINE, (22.0, 0.0)) is not None
    column, row = round(IRIS[0] + 22), round(IRIS[1])
    assert frame.y[row, column + 16 : column + 20].max() <= DARK + 30
