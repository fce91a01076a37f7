"""Makes the cover of a part: its sharpest, best-lit frame, with the title over it if there is one."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.picture import conversion
from media.process.files import atomic_write

CANDIDATES = 12  # frames compared, evenly spaced over the part
JPEG_QUALITY = 90
MAX_TITLE_CHARS = 120  # a longer title would cover the face
# The area that no platform covers with its own buttons and texts, as shares of a 1080 x 1920 picture
# (platform sheet, section 5, third-party figures of January 2026): x 60 to 900, y 250 to 1440.
LEFT, RIGHT, BOTTOM = 60 / 1080, 900 / 1080, 1440 / 1920  # the title is at its bottom, because faces are further up
FONT = cv2.FontFace("sans")  # built into OpenCV; Latin, Cyrillic and Greek letters
WEIGHT = 700
LINE_HEIGHT = 1.3  # in font sizes


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

    def write(self, target: Path, title: str = "") -> bool:
        """Write the cover as a JPEG, atomically; return False if there was no frame to choose from."""
        if self._best is None:
            return False
        write(self._best, target, title)
        return True


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return a score for sharpness and exposure, comparable within one video only."""
    small = cv2.resize(luma, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    detail = float(cv2.Laplacian(small, cv2.CV_32F).var())
    middle = float(small.mean()) / 255
    return detail * max(0.1, 1 - abs(middle - 0.45) * 1.5)


def write(frame: Planes, target: Path, title: str = "") -> None:
    """Write a frame as a JPEG, with a title in the area that no platform covers."""
    rgb = conversion.to_rgb(frame)
    words = " ".join(title.split())[:MAX_TITLE_CHARS]
    if words:
        rgb = _titled(rgb, words)
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "a valid picture can be encoded"
    with atomic_write(target) as temporary:
        temporary.write_bytes(jpeg.tobytes())


def _titled(rgb: NDArray[np.uint8], words: str) -> NDArray[np.uint8]:
    """Draw the title in white on a darkened band, in OpenCV's built-in font.

    MoviePy's text was tried: without a font file it has no letters beyond English, and it breaks lines inside words.
    """
    height, width = rgb.shape[:2]
    size = max(10, width // 16)
    lines = wrapped(words, size, round((RIGHT - LEFT) * width))
    step = round(size * LINE_HEIGHT)
    top = round(BOTTOM * height) - step * len(lines)
    band = np.s_[max(0, top - size // 2) : round(BOTTOM * height) + size // 2]
    rgb[band] = (rgb[band] * 0.45).astype(np.uint8)
    middle = round((LEFT + RIGHT) / 2 * width)
    for number, line in enumerate(lines):
        place = (middle - line_width(line, size) // 2, top + step * number + size)
        cv2.putText(rgb, line, place, (255, 255, 255), FONT, size, WEIGHT)
    return rgb


def wrapped(words: str, size: int, width: int) -> list[str]:
    """Break a text into lines of a width; a word that is wider than a line is broken inside.

    Args:
        words: the text, with single spaces.
        size: of the font, in pixels.
        width: of a line, in pixels.
    """
    lines: list[str] = []
    rest = words
    while rest:
        fitting = next(end for end in range(len(rest), 0, -1) if end == 1 or line_width(rest[:end], size) <= width)
        space = rest.rfind(" ", 0, fitting + 1) if fitting < len(rest) else -1
        end = space if space > 0 else fitting
        lines.append(rest[:end].strip())
        rest = rest[end:].strip()
    return lines


def line_width(text: str, size: int) -> int:
    """Return the width of a line of text in pixels, in a font size in pixels."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), FONT, size, WEIGHT)[2])
