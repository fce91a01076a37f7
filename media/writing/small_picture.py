"""Writes a small copy of a picture, which is kept longer than the part."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.process.files import atomic_write

MAX_BYTES = 30_000
QUALITIES = (80, 65, 50, 35, 20)  # of JPEG, tried in turn


def write_small(bgr: NDArray[np.uint8], target: Path, max_px: tuple[int, int]) -> None:
    """Write a picture, scaled down, as a JPEG of at most `MAX_BYTES`; at the lowest quality it may have more.

    Args:
        bgr: (H, W, 3), blue first.
        target: of the JPEG.
        max_px: width and height that hold the small picture.
    """
    height, width = bgr.shape[:2]
    scale = min(max_px[0] / width, max_px[1] / height, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    with atomic_write(target) as temporary:
        temporary.write_bytes(_encoded(small))


def _encoded(bgr: NDArray[np.uint8]) -> bytes:
    encoded = b""
    for quality in QUALITIES:
        done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done, "a valid picture can be encoded"
        encoded = jpeg.tobytes()
        if len(encoded) <= MAX_BYTES:
            break
    return encoded
