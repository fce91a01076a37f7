"""Darkness and dark glasses are detected, and distinguished from spectacles, lashes and dim rooms."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.gaze.estimate.visibility import BELOW, CHEEKS, DARK, PATCH, SETTLE_FRAMES, EyeVisibility
from media.gaze.face.faces import Face
from media.gaze.face.landmarks import Landmarker
from media.gaze.reasons import Reason
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import copied, darkened, portrait_frame, with_sunglasses


def painted(cheeks: float, below: tuple[float, float]) -> tuple[NDArray[np.uint8], Face]:
    """Paint the patches that are compared, in grey levels over black; everything else is black."""
    points = np.zeros((478, 2), np.float32)
    luma = np.full((40, 200), 16, np.uint8)
    marks = [*((point, cheeks) for point in CHEEKS), *((p, below[side]) for side in (0, 1) for p in BELOW[side])]
    for number, (point, level) in enumerate(marks):
        points[point] = (6 + 12 * number, 20)
        luma[20 - PATCH : 21 + PATCH, 6 + 12 * number - PATCH : 7 + 12 * number + PATCH] = 16 + round(level)
    return luma, Face(points, {})


def after(sight: EyeVisibility, frames: int, cheeks: float, below: tuple[float, float]) -> Reason | None:
    for _ in range(frames):
        last = sight.obstruction(*painted(cheeks, below))
    return last


@pytest.mark.parametrize(
    ("cheeks", "below", "expected"),
    [
        (120, (100, 95), None),
        (120, (25, 20), Reason.SUNGLASSES),
        (120, (80, 20), None),  # light from the side leaves one eye in the shade
        (80, (50, 48), None),  # deep-set eyes in a dim room, as measured
        (15, (12, 12), Reason.TOO_DARK),
        (35, (30, 30), None),
    ],
)
def test_what_hinders_at_first_sight(cheeks: float, below: tuple[float, float], expected: Reason | None) -> None:
    assert expected == EyeVisibility().obstruction(*painted(cheeks, below))


@given(st.lists(st.floats(-2.5, 2.5), min_size=5, max_size=60))
def test_light_that_trembles_around_the_border_changes_its_mind_once_at_most(trembles: list[float]) -> None:
    sight = EyeVisibility()
    said = [sight.obstruction(*painted(DARK[0] + 1 + tremble, (20, 20))) for tremble in trembles]
    assert sum(one != other for one, other in pairwise(said)) <= 1


def test_a_shadow_of_a_frame_or_two_is_no_darkness() -> None:
    sight = EyeVisibility()
    assert after(sight, 10, 120, (100, 100)) is None
    assert after(sight, 2, 5, (5, 5)) is None
    assert after(sight, int(4 * SETTLE_FRAMES), 5, (5, 5)) is Reason.TOO_DARK
    assert after(sight, int(4 * SETTLE_FRAMES), 120, (100, 100)) is None


def test_dark_glasses_put_on_are_noticed_within_a_second() -> None:
    sight = EyeVisibility()
    assert after(sight, 30, 120, (100, 100)) is None
    assert after(sight, 25, 120, (20, 20)) is Reason.SUNGLASSES
    assert after(sight, 25, 120, (100, 100)) is None


def test_eyes_are_visible_but_not_behind_dark_glasses_or_in_the_dark(portrait: Portrait) -> None:
    frame = portrait_frame(portrait, (11.0, -3.0))
    with Landmarker() as finder:
        for shown, expected in (
            (frame, None),
            (with_sunglasses(copied(frame)), Reason.SUNGLASSES),
            (darkened(copied(frame), 0.09), Reason.TOO_DARK),
            (darkened(copied(frame), 0.4), None),
        ):
            (face,) = finder.find(shown)
            assert expected == EyeVisibility().obstruction(shown.y, face)


def test_spectacles_are_no_dark_glasses(portrait: Portrait) -> None:
    """Rims alone: drawn around both eyes as thick as they come."""
    frame = portrait_frame(portrait, (11.0, -3.0))
    with Landmarker() as finder:
        (face,) = finder.find(frame)
        for corner, other in ((33, 133), (362, 263)):
            middle = face.points[[corner, other]].mean(axis=0)
            width = float(np.linalg.norm(face.points[corner] - face.points[other]))
            centre, axes = (int(middle[0]), int(middle[1] + 0.1 * width)), (int(0.85 * width), int(0.7 * width))
            cv2.ellipse(frame.y, centre, axes, 0, 0, 360, 25, int(0.1 * width))
        (face,) = finder.find(frame)
        assert EyeVisibility().obstruction(frame.y, face) is None
