"""Painted eyes with and without the reflection of a ring light around the lens."""

from math import radians, sin

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from media.gaze.estimate import ring_light
from media.gaze.estimate.geometry import Eye
from media.gaze.estimate.measure import estimate
from media.gaze.face import model
from media.gaze.face.faces import Mode
from media.gaze.face.landmarks import Landmarker
from media.sample.portrait import Portrait
from tests.media.gaze.synthetic import portrait_frame

IRIS_MM = 5.85  # radius
# Distances from the point about which an eye turns (Gullstrand's eye).
CORNEA_CENTRE_MM, PUPIL_MM = 5.6, 10.0
TURNED = 8  # fractional bits of drawn coordinates
LARGE = 4  # times as large as the result is painted


def painted_eyes(
    radius: float, gaze_deg: tuple[float, float] = (0.0, 0.0), light: str = "ring", noise: float = 2.0, iris: int = 95
) -> tuple[NDArray[np.uint8], tuple[Eye, Eye]]:
    """Paint two eyes of this iris radius that look so, and what a light at the lens leaves in them."""
    size = (round(radius * 10), round(radius * 24))
    picture = np.full((size[0] * LARGE, size[1] * LARGE), 150, np.uint8)
    eyes = []
    for x in (radius * 6, radius * 18):
        turning_point = np.array([x, radius * 5])
        along = np.array([sin(radians(gaze_deg[0])), -sin(radians(gaze_deg[1]))]) * radius / IRIS_MM
        centre = turning_point + PUPIL_MM * along
        corners = turning_point + np.array([[-2.6 * radius, 0], [2.6 * radius, 0]])
        _disc(picture, turning_point, (2.6 * radius, 1.2 * radius), 195)
        _disc(picture, centre, (radius, radius), 55)
        _disc(picture, centre, (0.85 * radius, 0.85 * radius), iris)
        _disc(picture, centre, (0.4 * radius, 0.4 * radius), 30)
        _light(picture, turning_point + CORNEA_CENTRE_MM * along, radius, light)
        lids = np.linspace(corners[0], corners[1], 9)
        arch = np.linspace(-1, 1, 9)[:, None] ** 2 - 1
        eyes.append(Eye(lids + arch * (0, radius), lids - arch * (0, radius), centre, radius))
    small = cv2.resize(picture, None, fx=1 / LARGE, fy=1 / LARGE, interpolation=cv2.INTER_AREA).astype(np.float32)
    small += np.random.default_rng(3).standard_normal(small.shape, np.float32) * np.float32(noise)
    return np.clip(small, 0, 255).astype(np.uint8), (eyes[0], eyes[1])


def _disc(picture: NDArray[np.uint8], at: NDArray[np.float64], axes: tuple[float, float], level: int) -> None:
    centre, half = (tuple(int(v * LARGE * 2**TURNED) for v in pair) for pair in (at, axes))
    cv2.ellipse(picture, centre, half, 0, 0, 360, level, -1, cv2.LINE_AA, TURNED)


def _light(picture: NDArray[np.uint8], at: NDArray[np.float64], radius: float, light: str) -> None:
    centre = tuple(int(v * LARGE) for v in at)
    size = round(0.38 * radius * LARGE)
    if light == "ring":
        cv2.circle(picture, centre, size, 230, round(0.16 * radius * LARGE), cv2.LINE_AA)
    elif light == "half a ring":
        cv2.ellipse(picture, centre, (size, size), 0, 180, 360, 230, round(0.16 * radius * LARGE), cv2.LINE_AA)
    elif light == "lamp":
        cv2.circle(picture, centre, size // 2, 230, -1, cv2.LINE_AA)
    elif light == "window":
        cv2.rectangle(picture, (centre[0] - size, centre[1] - size), (centre[0] + size, centre[1]), 230, -1)


@pytest.mark.parametrize("radius", [5.5, 8.0, 12.0, 20.0, 40.0])
def test_an_eye_with_the_ring_around_its_pupil_looks_into_the_lens(radius: float) -> None:
    assert ring_light.gaze_deg(*painted_eyes(radius)) == (0.0, 0.0)


@pytest.mark.parametrize("gaze", [(0, -15), (0, 15), (-18, 0), (18, 0), (12, -12)])
@pytest.mark.parametrize("radius", [8.0, 16.0])
def test_an_eye_that_looks_beside_the_ring_is_measured_there(radius: float, gaze: tuple[float, float]) -> None:
    """The part of the angle that may be noise is left out."""
    found = ring_light.gaze_deg(*painted_eyes(radius, gaze))
    assert found is not None
    for true, measured in zip(gaze, found, strict=True):
        assert abs(measured - np.sign(true) * max(abs(true) - ring_light.NOISE_DEG, 0)) < 4.0


@pytest.mark.parametrize("light", ["none", "half a ring", "lamp", "window"])
@pytest.mark.parametrize("radius", [6.0, 12.0, 30.0])
@pytest.mark.parametrize("iris", [50, 95, 150])
def test_other_lights_are_no_ring(radius: float, light: str, iris: int) -> None:
    assert ring_light.gaze_deg(*painted_eyes(radius, light=light, iris=iris)) is None


def test_a_ring_in_only_one_eye_is_none() -> None:
    luma, eyes = painted_eyes(12.0)
    other, _ = painted_eyes(12.0, light="none")
    luma[:, luma.shape[1] // 2 :] = other[:, luma.shape[1] // 2 :]
    assert ring_light.gaze_deg(luma, eyes) is None


def test_eyes_at_the_edge_of_the_frame_are_no_error() -> None:
    luma, eyes = painted_eyes(30.0)
    ring_light.gaze_deg(luma[:40, :40], eyes)
    ring_light.gaze_deg(luma[: int(eyes[0].iris[1])], eyes)


def test_a_face_lit_by_a_ring_is_estimated_in_the_lens_however_low_its_lids_are() -> None:
    """Narrowed eyes were measured far below the lens, and their irises pushed under the lids."""
    frame = portrait_frame(Portrait(), (0.0, 0.0), closed=0.35)
    head = model.average_head(model.locate())
    with Landmarker(mode=Mode.SPARSE) as finder:
        (face,) = finder.find(frame)
        without = estimate(face, head, frame.y)
        assert without is not None
        for eye in without.eyes:
            radius = eye.iris_radius
            centre = (round(eye.iris[0]), round(eye.iris[1]))
            cv2.circle(frame.y, centre, round(0.38 * radius), 235, max(1, round(0.14 * radius)), cv2.LINE_AA)
        found = estimate(face, head, frame.y)
    assert found is not None
    assert abs(without.gaze_deg[1]) > 5.0
    assert found.gaze_deg == (0.0, 0.0)
