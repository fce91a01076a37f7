"""Small copies of covers and previews: they fit, keep their shape, and are few bytes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from media.writing.small_picture import MAX_BYTES, write_small


@pytest.mark.parametrize(("height", "width"), [(1920, 1080), (1080, 1920), (2400, 1452), (100, 50), (3000, 3)])
def test_a_small_copy_fits_and_keeps_its_shape(tmp_path: Path, height: int, width: int) -> None:
    """Of a picture with much detail: noise, as coarse as a face in a cover."""
    noise = np.random.default_rng(1).integers(0, 255, (max(1, height // 24), max(1, width // 24), 3), np.uint8)
    picture = np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)

    write_small(picture, tmp_path / "cover.small.jpg", (270, 480))

    written = tmp_path / "cover.small.jpg"
    assert written.stat().st_size <= MAX_BYTES
    small = cv2.imread(str(written))
    assert small is not None
    found_height, found_width = small.shape[:2]
    assert (found_width, found_height) <= (270, 480)
    assert found_height <= 480
    assert abs(found_width - max(1, found_height * width / height)) <= 1
    assert found_height <= height
