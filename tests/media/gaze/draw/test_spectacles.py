"""Rims of spectacles are detected, not confused with other lines, and do not move."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.draw import spectacles, warp
from media.gaze.draw.eyelids import HALF_RIM, LOWER_LID, UPPER_LID, EyeMovement
from media.gaze.draw.glints import FOLLOWS
from media.gaze.draw.redraw import redraw
from media.gaze.draw.spectacles import SpectacleRim
from media.gaze.draw.warp import glint_maps
from media.gaze.estimate.geometry import Axes, Box, Outline, PixelGrid
from tests.media.gaze.draw.painted import PaintedEye
from tests.media.gaze.synthetic import an_eye

SKIN, WHITE, DARK = 150, 200, 40
EYE = an_eye(middle=(160.0, 100.0), width=120.0, opening=0.3)  # its lid's top lies 38 px above the corners
AXES = Axes.of(EYE)
OUTLINE = Outline.of(EYE, AXES)
ROWS, COLUMNS = np.indices((200, 320)) + 0.5


def an_eyes_picture(*, rim_px: float | None, lean: float = 0.0) -> Planes:
    """Paint an eye, and so far above its corners a dark line, 3 px thick, that leans."""
    luma = np.full(ROWS.shape, SKIN, np.uint8)
    lids = np.concatenate([EYE.upper, EYE.lower[::-1]]).round().astype(np.int32)
    between = cv2.fillPoly(np.zeros(ROWS.shape, np.uint8), [lids], 1) > 0
    luma[between] = WHITE
    luma[between & (np.hypot(COLUMNS - EYE.iris[0], ROWS - EYE.iris[1]) < EYE.iris_radius)] = DARK
    cv2.polylines(luma, [EYE.upper.round().astype(np.int32)], False, DARK, 3)  # lashes
    if rim_px is not None:
        luma[_on_rim(rim_px, lean)] = DARK
    grey = np.full((100, 160), 128, np.uint8)
    return Planes(luma, grey, grey.copy(), 0, 0.0)


def _on_rim(rim_px: float, lean: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(ROWS - 100 + rim_px - lean * (COLUMNS - 160)) < 1.5)


def the_box() -> Box:
    found = warp.eye_box(AXES, (200, 320))
    assert found is not None
    return found


@pytest.mark.parametrize(("rim_px", "lean"), [(46.0, 0.0), (50.0, 0.06), (54.0, -0.05)])
def test_a_rim_is_found_where_it_was_drawn(rim_px: float, lean: float) -> None:
    frame = an_eyes_picture(rim_px=rim_px, lean=lean)
    rim = spectacles.find(frame.y[the_box().slices()], AXES, the_box())
    assert rim is not None
    assert rim.confidence == 1
    x = np.array([-0.4, 0.0, 0.4], np.float32)
    assert pytest.approx(lean * x - rim_px / 120, abs=0.02) == rim.height(x)


def test_lids_and_lashes_are_no_rim() -> None:
    assert spectacles.find(an_eyes_picture(rim_px=None).y[the_box().slices()], AXES, the_box()) is None


@pytest.mark.parametrize("way", [(0.0, -8.0), (-6.0, -12.0), (4.0, 9.0)])
def test_a_rim_stays_where_it_is_when_the_lid_below_it_moves(way: tuple[float, float]) -> None:
    frame = an_eyes_picture(rim_px=48.0)
    before = frame.y.copy()
    assert redraw(frame, AXES, OUTLINE, way) is not None
    rim = _on_rim(48.0, 0.0)
    assert np.abs(frame.y[rim].astype(int) - before[rim]).max() <= 2
    assert not np.array_equal(before, frame.y)


def test_a_lid_below_a_rim_is_lifted_by_what_room_there_is() -> None:
    """The lid's top lies at 0.315; of the 0.08 up to the rim, 0.035 are the rim's own half."""
    rim = SpectacleRim((-0.395, 0.0, 0.0), 1.0)
    upper, lower = EyeMovement.of(OUTLINE, (0.0, -0.1), rim).lid_shifts
    assert pytest.approx(-(0.395 - 0.315 - HALF_RIM) / 3.2, abs=1e-6) == upper
    assert pytest.approx(-0.1 * LOWER_LID) == lower
    assert pytest.approx(-0.1 * UPPER_LID) == EyeMovement.of(OUTLINE, (0.0, -0.1)).lid_shifts[0]


def test_a_line_that_is_hardly_a_rim_hardly_counts() -> None:
    upper = [
        EyeMovement.of(OUTLINE, (0.0, -0.1), SpectacleRim((-0.395, 0.0, 0.0), confidence)).lid_shifts[0]
        for confidence in (0, 0.1, 1)
    ]
    assert pytest.approx(-0.1 * UPPER_LID) == upper[0]
    assert upper[0] <= upper[1] < upper[2]


def test_what_shines_below_a_rim_goes_no_further_up_than_the_lid() -> None:
    """It would come to lie under the lid; on glasses it stays anyway."""
    rim, wanted = SpectacleRim((-0.395, 0.0, 0.0), 1.0), (-0.05, -0.1)
    place = PixelGrid.of(the_box(), AXES)
    for moved in (EyeMovement.of(OUTLINE, wanted, rim), EyeMovement.of(OUTLINE, wanted)):
        columns, rows = glint_maps(moved, place)
        up = max(FOLLOWS * moved.iris_shift[1], moved.lid_shifts[0])
        assert pytest.approx(120 * FOLLOWS * 0.05, abs=1e-3) == (columns - place.columns).max()
        assert pytest.approx(-120 * up, abs=1e-3) == (rows - place.rows).max()


@pytest.mark.parametrize("brightness", [0.5, 0.3, 0.2])
@pytest.mark.parametrize("grain", [0.0, 4.0])
def test_a_rim_in_dim_light_is_found_and_stays(brightness: float, grain: float) -> None:
    plain = PaintedEye.of(width=80.0, opening=0.3)
    painted = replace(plain, rim_above_px=32.0, brightness=brightness, grain=grain)
    frame = painted.picture()
    box = warp.eye_box(painted.axes, (frame.y.shape[0], frame.y.shape[1]))
    assert box is not None
    rim = spectacles.find(frame.y[box.slices()], painted.axes, box)
    assert rim is not None
    assert rim.confidence > 0.5
    assert pytest.approx(-32 / 80, abs=0.02) == rim.height(np.zeros(1, np.float32))


@pytest.mark.parametrize("brightness", [0.5, 0.3, 0.2])
@pytest.mark.parametrize("grain", [0.0, 4.0])
def test_dim_lids_and_grain_are_no_rim(brightness: float, grain: float) -> None:
    painted = replace(PaintedEye.of(width=80.0, opening=0.3), brightness=brightness, grain=grain)
    frame = painted.picture()
    box = warp.eye_box(painted.axes, (frame.y.shape[0], frame.y.shape[1]))
    assert box is not None
    assert spectacles.find(frame.y[box.slices()], painted.axes, box) is None
