"""A chart of the gaze over a part's time: degrees off the lens, before and after correction."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from media.gaze.reasons import Reason
from media.gaze.report import FrameResult

Picture = NDArray[np.uint8]  # (H, W, 3), red first
Colour = tuple[int, int, int]

HEIGHT_PX = 360
LEFT, RIGHT, TOP, BOTTOM, GAP = 70, 24, 56, 48, 14  # margins
LEAST_DEG, MOST_DEG = 15.0, 40.0  # least and greatest upper end of the vertical axis
IN_CONTACT_DEG = 3.0  # up to here a gaze is seen as eye contact (Chen, CHI 2002; van Eijk et al., QoMEX 2010)
PAPER, INK, LINE = (246, 248, 250), (32, 36, 40), (206, 211, 216)
CORRECTED, CONTACT = (218, 232, 246), (224, 240, 228)
BEFORE, AFTER = (196, 92, 24), (22, 84, 168)
FONT, SMALL = cv2.FONT_HERSHEY_SIMPLEX, 0.7


def draw(rows: Sequence[FrameResult], width: int, corrected_from: float) -> Picture:
    """Draw one speaker's gaze: shaded where it was corrected, a dot where the result was measured.

    Args:
        rows: results of a part, one for each frame, in order.
        width: of the picture, in pixels.
        corrected_from: applied share from which a frame counts as corrected.

    Returns:
        (HEIGHT_PX, width, 3), red first.
    """
    picture = np.full((HEIGHT_PX, width, 3), PAPER, np.uint8)
    axes = _Axes(width, rows)
    for row in rows:
        if 0 < row.applied >= corrected_from:
            axes.band(picture, row.time_s, CORRECTED)
    axes.scale(picture)
    for (when, off), (then, next_off) in pairwise([(row.time_s, _off(row, row.off_deg)) for row in rows]):
        if off is not None and next_off is not None:
            cv2.line(picture, axes.at(when, off), axes.at(then, next_off), BEFORE, 2, cv2.LINE_AA)
    for row in rows:
        if (off := _off(row, row.after_deg)) is not None:
            cv2.circle(picture, axes.at(row.time_s, off), 5, AFTER, -1, cv2.LINE_AA)
    _legend(picture)
    return picture


def _off(row: FrameResult, angles: tuple[float, float] | None) -> float | None:
    """Return the distance from the lens in degrees; None for shut eyes, whose gaze is meaningless."""
    return None if angles is None or row.reason is Reason.BLINK else float(np.hypot(*angles))


class _Axes:
    """Maps times and angles to pixels of the chart."""

    def __init__(self, width: int, rows: Sequence[FrameResult]) -> None:
        offs = [off for row in rows if (off := _off(row, row.off_deg)) is not None]
        self._width = width
        self._most = float(np.clip(np.percentile(offs, 99) if offs else 0, LEAST_DEG, MOST_DEG))
        self._frame_s = rows[1].time_s - rows[0].time_s if len(rows) > 1 else 1.0
        self._seconds = (rows[-1].time_s if rows else 0.0) + self._frame_s

    def at(self, time_s: float, off_deg: float) -> tuple[int, int]:
        up = min(off_deg / self._most, 1.0) * (HEIGHT_PX - TOP - BOTTOM)
        return self._x(time_s + self._frame_s / 2), round(HEIGHT_PX - BOTTOM - up)

    def band(self, picture: Picture, time_s: float, colour: Colour) -> None:
        picture[TOP : HEIGHT_PX - BOTTOM, self._x(time_s) : self._x(time_s + self._frame_s) + 1] = colour

    def scale(self, picture: Picture) -> None:
        """Draw grid lines and labels: every five or ten degrees, and about eight times."""
        end = self._width - RIGHT
        contact = picture[self.at(0, IN_CONTACT_DEG)[1] : HEIGHT_PX - BOTTOM, LEFT:end]
        contact[...] = np.minimum(contact, CONTACT)
        for degrees in range(0, int(self._most) + 1, 5 if self._most <= 25 else 10):
            row = self.at(0, degrees)[1]
            cv2.line(picture, (LEFT, row), (end, row), LINE, 1)
            _write(picture, f"{degrees}", (LEFT - 10, row + 7), align=1.0)
        step = next(step for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 3600) if self._seconds / step <= 9)
        for second in range(0, int(self._seconds) + 1, step):
            _write(picture, f"{second // 60}:{second % 60:02}", (self._x(second), HEIGHT_PX - 16), align=0.5)

    def _x(self, time_s: float) -> int:
        return LEFT + round((self._width - LEFT - RIGHT) * min(time_s / self._seconds, 1.0))


def _legend(picture: Picture) -> None:
    x = _write(picture, "degrees off the lens", (LEFT, 32)) + 2 * GAP
    cv2.line(picture, (x, 25), (x + 32, 25), BEFORE, 3, cv2.LINE_AA)
    x = _write(picture, "before", (x + 32 + GAP, 32)) + 2 * GAP
    cv2.circle(picture, (x, 25), 6, AFTER, -1, cv2.LINE_AA)
    x = _write(picture, "after", (x + GAP, 32)) + 2 * GAP
    for colour, text in ((CORRECTED, "corrected"), (CONTACT, "seen as eye contact")):
        cv2.rectangle(picture, (x, 14), (x + 28, 34), colour, -1)
        cv2.rectangle(picture, (x, 14), (x + 28, 34), LINE, 1)
        x = _write(picture, text, (x + 28 + GAP, 32)) + 2 * GAP


def _write(picture: Picture, text: str, place: tuple[int, int], align: float = 0.0) -> int:
    """Write one line of text; return the column of its end."""
    (length, _), _ = cv2.getTextSize(text, FONT, SMALL, 1)
    left = int(min(place[0] - round(align * length), picture.shape[1] - length - 2))
    cv2.putText(picture, text, (left, place[1]), FONT, SMALL, INK, 1, cv2.LINE_AA)
    return left + int(length)
