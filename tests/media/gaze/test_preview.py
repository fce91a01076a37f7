"""The before/after sheet: which moments it keeps, and that they show what was there."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from media.frames import Planes
from media.gaze.policy import Decision
from media.gaze.preview import COLUMN_PX, MOMENTS, SHEET_PX, Preview
from tests.media.gaze.synthetic import an_estimate

LOOK = an_estimate((8.0, 0.0))


def grey(index: int, level: int) -> Planes:
    half = np.full((100, 150), 128, np.uint8)
    return Planes(np.full((200, 300), level, np.uint8), half, half.copy(), index, index / 30)


def watch(preview: Preview, index: int, strength: float, before: int = 60, after: int = 180) -> None:
    decision = Decision(strength, (10.0, 0.0), None)
    preview.before(grey(index, before), LOOK, decision)
    preview.after(grey(index, after), LOOK, decision)


def sheet(preview: Preview, path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    assert preview.write(path, "said")
    read = cv2.imread(str(path))
    assert read is not None
    return np.asarray(read, np.uint8)


def test_before_is_on_the_left_and_after_on_the_right(tmp_path: Path) -> None:
    preview = Preview(40)
    watch(preview, 3, 1.0)
    picture = sheet(preview, tmp_path / "p.jpg")
    assert picture.shape[1] == SHEET_PX
    rows = picture[picture.shape[0] // 2]
    expected = [(level - 16) / 219 * 255 for level in (60, 180)]
    assert pytest.approx(expected, abs=4) == [float(rows[COLUMN_PX // 2].mean()), float(rows[-COLUMN_PX // 2].mean())]


def test_each_quarter_shows_its_strongest_correction(tmp_path: Path) -> None:
    preview = Preview(40)
    for index in range(40):
        watch(preview, index, 1.0 if index % 10 == 4 else 0.5)
    kept = [moment.index for moment in preview._moments.values()]
    assert [4, 14, 24, 34] == kept
    assert MOMENTS == len(kept)
    assert 1 == sum(bool(moment.full) for moment in preview._moments.values())


def test_memory_does_not_grow_with_the_part() -> None:
    preview = Preview(100_000)
    for index in range(0, 100_000, 50):
        watch(preview, index, (index % 997) / 997)
    assert len(preview._moments) == MOMENTS
    assert sum(len(moment.full) for moment in preview._moments.values()) <= 2


def test_a_chart_stands_below(tmp_path: Path) -> None:
    preview = Preview(40)
    watch(preview, 3, 1.0)
    without = sheet(preview, tmp_path / "p.jpg").shape[0]
    chart = np.full((80, SHEET_PX, 3), (200, 30, 30), np.uint8)
    assert preview.write(tmp_path / "q.jpg", "said", chart)
    read = cv2.imread(str(tmp_path / "q.jpg"))
    assert read is not None
    assert read.shape[0] == without + 80 + 12
    assert pytest.approx((30, 30, 200), abs=6) == tuple(read[-40, SHEET_PX // 2])


def test_without_a_face_nothing_is_written(tmp_path: Path) -> None:
    assert not Preview(100).write(tmp_path / "p.jpg", "nothing")
    assert list(tmp_path.iterdir()) == []
