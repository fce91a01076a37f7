"""Covers show the sharpest frame, and the title in the area that no platform covers."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from media.frames import Planes
from media.writing import cover


def planes(luma: NDArray[np.uint8], index: int = 0) -> Planes:
    grey = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
    return Planes(luma, grey, grey.copy(), index, index / 30)


def sharp(index: int = 0) -> Planes:
    checks = np.indices((640, 360)).sum(axis=0) // 16 % 2 * 120 + 60
    return planes(checks.astype(np.uint8), index)


def blurred(index: int) -> Planes:
    return planes(cv2.GaussianBlur(sharp().y, (0, 0), 12).astype(np.uint8), index)


def test_the_sharpest_candidate_is_taken(tmp_path: Path) -> None:
    choice = cover.Cover(frames=12)
    for index in range(12):
        choice.consider(sharp(index) if index == 7 else blurred(index))
    assert choice.write(tmp_path / "cover.jpg")
    written = cv2.imread(str(tmp_path / "cover.jpg"), cv2.IMREAD_GRAYSCALE)
    assert written is not None
    assert cover.sharpness(np.asarray(written, np.uint8)) > 5 * cover.sharpness(blurred(0).y)


def test_a_kept_frame_is_a_copy(tmp_path: Path) -> None:
    choice, frame = cover.Cover(frames=1), sharp()
    choice.consider(frame)
    frame.y[:] = 16
    choice.write(tmp_path / "cover.jpg")
    written = cv2.imread(str(tmp_path / "cover.jpg"), cv2.IMREAD_GRAYSCALE)
    assert written is not None
    assert float(np.asarray(written).std()) > 30


def test_nothing_seen_writes_nothing(tmp_path: Path) -> None:
    assert not cover.Cover(frames=30).write(tmp_path / "cover.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("label", ["", "12/40"])
@pytest.mark.parametrize(
    "title", ["Über das Schneiden", "Как резать видео", "مرحبا بالعالم", "x" * 500, "  \n ", "100 % of it"]
)
def test_titles_stay_inside_the_box_that_no_platform_covers(title: str, label: str, tmp_path: Path) -> None:
    dark = planes(np.full((640, 360), 16, np.uint8))
    cover.write(dark, tmp_path / "cover.jpg", title, label)
    written = np.asarray(cv2.imread(str(tmp_path / "cover.jpg"), cv2.IMREAD_GRAYSCALE))
    rows, columns = np.nonzero(written > 128)
    assert bool(len(rows)) == bool(title.strip() or label)
    if len(rows):
        assert rows.min() > 250 / 1920 * 640
        assert rows.max() <= 1440 / 1920 * 640 + 6
        assert columns.min() >= 60 / 1080 * 360 - 2
        assert columns.max() <= 900 / 1080 * 360 + 2


def test_covers_of_one_title_are_told_apart_by_their_label(tmp_path: Path) -> None:
    for label in ("1/4", "2/4"):
        cover.write(sharp(), tmp_path / f"{label[0]}.jpg", "The talk", label)
    first, second = (np.asarray(cv2.imread(str(tmp_path / f"{n}.jpg")), np.int16) for n in (1, 2))
    assert np.abs(first - second).max() > 100
