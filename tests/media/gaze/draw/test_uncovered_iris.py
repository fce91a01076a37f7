"""An upper lid that hangs over a lifted iris is lifted further, until it covers as much as in eyes in the lens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.gaze.draw import warp
from media.gaze.draw.eyelids import COVER, MOST_MORE, UPPER_LID, EyeMovement
from media.gaze.draw.spectacles import SpectacleRim
from media.gaze.estimate.geometry import Outline, height
from tests.media.gaze.draw.painted import PaintedEye


def lowered(opening: float = 0.2, iris_y: float = -0.04) -> PaintedEye:
    """Return an eye that looks down: its lid hides nearly half of the iris."""
    return PaintedEye.of(width=100.0, opening=opening, iris_y=iris_y)


def cover(outline: Outline, moved: EyeMovement) -> float:
    """Return the share of the moved iris' height above which the upper lid lies."""
    x = outline.iris[0] + moved.iris_shift[0]
    lid = float(height(outline.upper, np.full(1, x, np.float32))[0]) + moved.lid_shifts[0] * (1 - 4 * x * x)
    return (lid - (outline.iris[1] + moved.iris_shift[1] - outline.radius)) / (2 * outline.radius)


@pytest.mark.parametrize("right", [-0.1, 0.0, 0.1])
def test_the_lid_of_a_lowered_eye_is_lifted_off_the_iris(right: float) -> None:
    outline = lowered(opening=0.12).outline
    before, after = (EyeMovement.of(outline, (right, -0.14), uncover=share) for share in (0.0, 1.0))
    assert cover(outline, before) > 0.27
    assert pytest.approx(COVER, abs=0.01) == cover(outline, after)
    assert before.iris_shift == after.iris_shift
    assert before.lid_shifts[1] == after.lid_shifts[1]


def test_the_lid_goes_at_most_half_as_far_again_as_the_iris() -> None:
    outline = lowered(opening=0.08).outline
    before, after = (EyeMovement.of(outline, (0.0, -0.1), uncover=share) for share in (0.0, 1.0))
    assert pytest.approx(before.lid_shifts[0] + MOST_MORE * before.iris_shift[1]) == after.lid_shifts[0]


def test_narrow_eyes_beside_the_lens_stay_narrow() -> None:
    outline = lowered(opening=0.12).outline
    before, after = (EyeMovement.of(outline, (0.0, -0.02), uncover=share) for share in (0.0, 1.0))
    assert after.lid_shifts[0] == pytest.approx(before.lid_shifts[0], abs=0.003)


@pytest.mark.parametrize("down", [-0.1, 0.1])
def test_wide_open_eyes_are_not_opened_further(down: float) -> None:
    outline = PaintedEye.of(opening=0.42, iris_y=-0.02).outline
    assert pytest.approx(UPPER_LID * down) == EyeMovement.of(outline, (0.0, down), uncover=1.0).lid_shifts[0]


def test_eyes_that_turn_down_or_aside_keep_their_lids() -> None:
    outline = lowered().outline
    for wanted in ((0.05, 0.0), (0.0, 0.08)):
        assert EyeMovement.of(outline, wanted) == EyeMovement.of(outline, wanted, uncover=1.0)


def test_a_lid_below_a_rim_of_spectacles_is_lifted_by_what_room_there_is() -> None:
    outline = lowered().outline
    lid = float(height(outline.upper, np.zeros(1, np.float32))[0])
    rim = SpectacleRim((lid - 0.08, 0.0, 0.0), 1.0)
    without, within = (EyeMovement.of(outline, (0.0, -0.12), rim, uncover=share) for share in (0.0, 1.0))
    assert pytest.approx(without.lid_shifts) == within.lid_shifts
    hardly = EyeMovement.of(outline, (0.0, -0.12), SpectacleRim(rim.curve, 0.0), uncover=1.0)
    assert hardly.lid_shifts == EyeMovement.of(outline, (0.0, -0.12), uncover=1.0).lid_shifts


@settings(deadline=None)
@given(st.floats(-25, 0), st.floats(0.08, 0.42), st.floats(0, 1))
def test_the_skin_above_a_lid_that_is_lifted_further_never_folds(down: float, opening: float, uncover: float) -> None:
    painted = lowered(opening=opening)
    area = warp.eye_box(painted.axes, painted.picture().y.shape)
    assert area is not None
    maps = warp.eye_maps(painted.axes, painted.outline, area, (0.0, down), uncover=uncover)
    moved = EyeMovement.of(painted.outline, (0.0, down / 100), uncover=uncover)
    middle = round(painted.axes.origin[0]) - area.left
    lid_y = float(moved.lid_heights(np.zeros(1, np.float32))[0][0])
    lid_row = int(painted.axes.origin[1] + lid_y * 100 - area.top)
    assert (np.diff(maps.skin[1][: max(lid_row, 0), middle]) > 0).all()
