"""Makes the cover of a part: its sharpest, best-lit frame, with the part's number and the title over it.

MoviePy's text was tried: without a font file it has no letters beyond English, and it breaks lines inside words.
OpenCV's has Latin, Cyrillic and Greek letters, and draws Arabic ones unjoined and in the wrong order.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.picture import conversion
from media.process.files import atomic_write
from media.writing.lettering import prepare
from media.writing.small_picture import write_small

CANDIDATES = 12  # frames compared, evenly spaced over the part
JPEG_QUALITY = 90
SMALL_PX = (270, 480)  # width and height that hold the small copy
MAX_TITLE_CHARS = 120  # a longer title would cover the face
# The area that no platform covers with its own buttons and texts, as shares of a 1080 x 1920 picture
# (platform sheet, section 5, third-party figures of January 2026): x 60 to 900, y 250 to 1440.
LEFT, RIGHT, BOTTOM = 60 / 1080, 900 / 1080, 1440 / 1920  # the title is at its bottom, because faces are further up
LABEL_SIZE = 1.6  # of the part's number, in font sizes of the title: covers of a series are told apart by it


class Cover:
    """Chooses the best frame of a part."""

    def __init__(self, frames: int) -> None:
        self._every = max(1, frames // CANDIDATES)
        self._best: Planes | None = None
        self._score = -1.0

    def consider(self, frame: Planes) -> None:
        """Compare a finished frame with the best one so far; a copy of the better one is kept."""
        if frame.index % self._every != self._every // 2:
            return
        score = sharpness(frame.y)
        if score > self._score:
            self._score = score
            self._best = Planes(frame.y.copy(), frame.u.copy(), frame.v.copy(), frame.index, frame.time_s)

    def write(self, target: Path, title: str = "", label: str = "", small: Path | None = None) -> bool:
        """Write the cover and a small copy as JPEGs, atomically; return False if there was no frame to choose from."""
        if self._best is None:
            return False
        write(self._best, target, title, label, small)
        return True


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return a score for sharpness and exposure, comparable within one video only."""
    small = cv2.resize(luma, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    detail = float(cv2.Laplacian(small, cv2.CV_32F).var())
    middle = float(small.mean()) / 255
    return detail * max(0.1, 1 - abs(middle - 0.45) * 1.5)


def write(frame: Planes, target: Path, title: str = "", label: str = "", small: Path | None = None) -> None:
    """Write a frame as a JPEG, with a label such as "2/4" and a title in the area that no platform covers."""
    rgb = conversion.to_rgb(frame)
    _lettered(rgb, title, label)
    bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "a valid picture can be encoded"
    with atomic_write(target) as temporary:
        temporary.write_bytes(jpeg.tobytes())
    if small is not None:
        write_small(bgr, small, SMALL_PX)


def _lettered(rgb: NDArray[np.uint8], title: str, label: str) -> None:
    """Draw the label and the title under it, in white on a darkened band."""
    height, width = rgb.shape[:2]
    size = max(10, width // 16)
    blocks = [prepare(label, round(size * LABEL_SIZE)), prepare(title[:MAX_TITLE_CHARS], size)]
    texts = [(text, text.lines(round((RIGHT - LEFT) * width))) for text in blocks if text is not None]
    if not texts:
        return
    bottom = round(BOTTOM * height)
    top = bottom - sum(text.height(lines) for text, lines in texts)
    band = np.s_[max(0, top - size // 2) : bottom + size // 2]
    rgb[band] = (rgb[band] * 0.45).astype(np.uint8)
    for text, lines in texts:
        text.draw(rgb, lines, middle=round((LEFT + RIGHT) / 2 * width), top=top)
        top += text.height(lines)
