"""The picture around the eyes is aligned with an earlier one, and other eyes are told apart from the same ones."""

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.gaze.estimate.alignment import ALIKE, EyeTemplate
from media.gaze.estimate.geometry import Eye
from media.gaze.estimate.measure import eye_of
from media.gaze.estimate.propagation import moved, with_irises
from media.gaze.face.landmarks import Landmarker
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import an_estimate, an_eye, portrait_frame

ASIDE = (11.0, -3.0)
Luma = NDArray[np.uint8]


@pytest.fixture
def shown(portrait: Portrait, finder: Landmarker) -> tuple[Luma, tuple[Eye, Eye]]:
    frame = portrait_frame(portrait, ASIDE)
    (face,) = finder.find(frame)
    return frame.y, (eye_of(face.points, 0), eye_of(face.points, 1))


@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(-0.02, 0.02), st.floats(0.98, 1.02))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_movement_of_the_head_is_found(
    shown: tuple[Luma, tuple[Eye, Eye]], right: float, down: float, turn_rad: float, scale: float
) -> None:
    luma, eyes = shown
    middle = np.mean([eye.iris for eye in eyes], axis=0)
    matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), float(np.degrees(turn_rad)), scale)
    matrix[:, 2] += np.array([right, down])
    picture = np.asarray(cv2.warpAffine(luma, matrix, luma.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)
    found = EyeTemplate(luma, eyes).align(picture)
    for eye in eyes:
        # The matrix is of pixels whose centre is at 0.
        expected = (eye.upper - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
        assert np.abs(found.similarity.points(eye.upper) - expected).max() < 0.015 * eye.width
    assert pytest.approx(scale, abs=0.01) == found.similarity.scale


def test_noise_and_light_make_no_other_eyes(shown: tuple[Luma, tuple[Eye, Eye]]) -> None:
    luma, eyes = shown
    rng = np.random.default_rng(1)
    one, other = (np.clip(luma + rng.normal(light, 4, luma.shape), 16, 235).astype(np.uint8) for light in (0, 8))
    assert EyeTemplate(one, eyes).align(other).unlike < ALIKE


@pytest.mark.parametrize(
    ("gaze_deg", "closed"),
    [(ASIDE, 1.0), (ASIDE, 0.4), ((7.0, -3.0), 0.0), ((11.0, 4.0), 0.0)],
    ids=["shut", "half shut", "4° aside", "7° up"],
)
def test_lids_and_irises_that_moved_make_other_eyes(
    gaze_deg: tuple[float, float], closed: float, shown: tuple[Luma, tuple[Eye, Eye]], portrait: Portrait
) -> None:
    luma, eyes = shown
    assert EyeTemplate(luma, eyes).align(portrait_frame(portrait, gaze_deg, closed).y).unlike > ALIKE


@pytest.mark.parametrize("place", [(4.0, 4.0), (716.0, 4.0), (-90.0, 200.0), (2000.0, 2000.0)])
def test_eyes_at_the_edge_of_the_frame_are_survived(
    place: tuple[float, float], shown: tuple[Luma, tuple[Eye, Eye]]
) -> None:
    luma, _ = shown
    eyes = an_eye(middle=place), an_eye(middle=(place[0] + 120, place[1]))
    assert np.isfinite(EyeTemplate(luma, eyes).align(luma).unlike)


def test_an_estimate_that_moved_with_the_picture_is_the_same_in_eye_units(
    shown: tuple[Luma, tuple[Eye, Eye]],
) -> None:
    luma, eyes = shown
    turned = np.asarray(cv2.resize(luma, None, fx=1.04, fy=1.04), np.uint8)
    similarity = EyeTemplate(luma, eyes).align(turned).similarity
    own = an_estimate((3.0, 2.0))
    there = moved(own, similarity)
    assert (own.gaze_deg, own.opening, own.outlines) == (there.gaze_deg, there.opening, there.outlines)
    assert pytest.approx(own.eye_px * similarity.scale, rel=1e-6) == there.eyes[0].width
    back = with_irises(moved(there, similarity.inverse()), own.eyes)
    assert pytest.approx(own.outlines[0].iris, abs=1e-6) == back.outlines[0].iris
    assert pytest.approx(own.eyes[1].lower, abs=1e-6) == back.eyes[1].lower
