"""Faults of redrawn eyes are seen on drawn and rendered eyes; an iris that moves cleanly has none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scripts.benchmarks.gaze import rendered_film
from scripts.benchmarks.gaze.appearance import Appearance, EyePair, Observer
from scripts.benchmarks.gaze.rendered_film import Pose

Picture = NDArray[np.uint8]

MIDDLE, EYE, RADIUS, LARGER = (110, 90), (48, 24), 19, 8
AROUND = np.linspace(np.pi, 2 * np.pi, 9)
ARCH = np.stack([MIDDLE[0] + EYE[0] * np.cos(AROUND), MIDDLE[1] + EYE[1] * np.sin(AROUND)], axis=1)
LIDS = (ARCH, ARCH * (1, -1) + (0, 2 * MIDDLE[1]))


def an_eye(right: float = 0, down: float = 0, *, light: tuple[float, float] = (0, 0), soft: float = 2.0) -> Picture:
    """Draw an eye with lashes, whose iris has a pupil, a ring-shaped light and a soft limbus.

    Args:
        right: of the iris from the eye's middle, in pixels, as `down`.
        down: see `right`.
        light: where its light is, from where it was.
        soft: blur of the limbus.
    """
    size = (180 * LARGER, 220 * LARGER)
    white = np.zeros(size, np.uint8)
    cv2.ellipse(white, _place(*MIDDLE), _place(*EYE), 0, 0, 360, (255,), -1)
    x, y = MIDDLE[0] + right, MIDDLE[1] + down
    iris = np.full(size, 205, np.uint8)
    cv2.circle(iris, _place(x, y), RADIUS * LARGER, (75,), -1)
    small = np.asarray(cv2.resize(iris, (220, 180), interpolation=cv2.INTER_AREA), np.uint8)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), soft), np.uint8)
    inner = np.zeros(size, np.uint8)
    cv2.circle(inner, _place(x, y), 8 * LARGER, (255,), -1)
    small = _over(small, inner, 35)
    ring = np.zeros(size, np.uint8)
    cv2.circle(ring, _place(x + light[0], y + light[1]), 4 * LARGER, (255,), 2 * LARGER)
    small = _over(small, ring, 220)
    skin = np.full(small.shape, 150, np.uint8)
    share = cv2.resize(white, (220, 180), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    eye = np.asarray(np.rint(skin + share * (small.astype(np.float32) - skin)), np.uint8)
    cv2.ellipse(eye, MIDDLE, (EYE[0] + 2, EYE[1] + 2), 0, 0, 360, (60,), 3, cv2.LINE_AA)
    return eye


def _place(x: float, y: float) -> tuple[int, int]:
    return round(x * LARGER), round(y * LARGER)


def _over(picture: Picture, mask: Picture, level: int) -> Picture:
    share = cv2.resize(mask, picture.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(np.rint(picture + share * (level - picture.astype(np.float32))), np.uint8)


def faults(before: Picture, after: Picture) -> tuple[float, float, float]:
    """Return ring, wholeness and slivers."""
    pair = EyePair.of(before, after, LIDS)
    iris = pair.iris()
    assert iris is not None
    return pair.ring(iris), pair.wholeness(iris), pair.slivers()


@given(st.integers(-9, 9), st.integers(-4, 4))
def test_an_iris_that_moves_whole_has_no_fault(right: int, down: int) -> None:
    ring, wholeness, slivers = faults(an_eye(), an_eye(right, down))
    assert 1.0 == pytest.approx(ring, abs=0.08)
    assert wholeness > 0.93
    assert 0.0 == slivers


def test_lights_that_stay_behind_together_are_whole() -> None:
    """A light lies on the cornea: it goes about half as far as the iris."""
    before, after = (cv2.circle(picture.copy(), place, 3, (230,), -1) for picture, place in _pairs())
    assert faults(np.asarray(before, np.uint8), np.asarray(after, np.uint8))[1] > 0.9


def _pairs() -> Iterator[tuple[Picture, tuple[int, int]]]:
    for right in (0, 8):
        dark = an_eye(right)
        cv2.circle(dark, (MIDDLE[0] + right, MIDDLE[1]), 12, (70,), -1)
        yield dark, (MIDDLE[0] + right // 2, MIDDLE[1] - 4)


def test_a_hard_limbus_and_a_bright_line_around_it_are_rings() -> None:
    before = an_eye()
    hard, lined = an_eye(4, soft=0.8), an_eye(4)
    cv2.circle(lined, (MIDDLE[0] + 4, MIDDLE[1]), RADIUS + 2, (250,), 2, cv2.LINE_AA)
    assert faults(before, hard)[0] > 1.4
    assert faults(before, lined)[0] > 1.3


def test_a_light_that_leaves_its_pupil_tears_it() -> None:
    whole, torn = an_eye(0, -4), an_eye(0, -4)
    torn[MIDDLE[1] - 4 :] = an_eye(0, 3)[MIDDLE[1] - 4 :]
    assert faults(an_eye(), whole)[1] > 0.95
    assert faults(an_eye(), torn)[1] < 0.85


def test_a_narrow_bright_spot_at_the_corner_is_a_sliver_and_new_sclera_is_none() -> None:
    aside = an_eye(-34, light=(10, 0))
    split = aside.copy()
    cv2.fillPoly(split, [np.array([(66, 90), (73, 83), (73, 97)], np.int32)], (220,))
    assert faults(aside, split)[2] > 1.5
    assert 0.0 == faults(aside, an_eye(-10))[2]


def test_a_film_is_measured_every_so_many_frames_and_passes_unchanged() -> None:
    frames = list(rendered_film.frames([Pose((0.0, 0.0))] * 6))
    observer = Observer(len(frames), 3)
    seen = list(observer.watch(zip(frames, frames, frames, strict=True)))
    assert [frame.index for frame in frames] == [film.index for _, _, film in seen]
    measured = [at for at in range(len(frames)) if not np.isnan(observer.appearance.wholeness[at]).any()]
    assert [0, 3] == measured
    assert (1.0, 1.0) == pytest.approx((observer.appearance.ring[0].mean(), observer.appearance.wholeness[0].mean()))
    assert 0.0 == observer.appearance.slivers[0].sum()


def test_a_rendered_gaze_that_turns_by_geometry_is_no_fault() -> None:
    """The portrait's eyes turn on spheres: a true change of gaze, of which nothing was redrawn."""
    before, after = (list(rendered_film.frames([Pose(gaze)] * 2)) for gaze in ((8.0, -6.0), (0.0, 0.0)))
    observer = Observer(2, 1)
    for _ in observer.watch(zip(before, before, after, strict=True)):
        pass
    found = observer.appearance
    assert np.nanmedian(found.ring) < 1.15
    assert np.nanmedian(found.wholeness) > 0.8
    assert found.slivers.max() < 0.5


def test_faults_are_kept_and_read_again(tmp_path: Path) -> None:
    kept = Appearance(np.ones((3, 2)), np.zeros((3, 2)), np.full((3, 2), 2.0))
    kept.save(tmp_path / "faults.npz")
    again = Appearance.load(tmp_path / "faults.npz")
    assert (1.0, 0.0, 2.0) == (again.ring.mean(), again.wholeness.mean(), again.slivers.mean())
