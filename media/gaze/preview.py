"""Draws the before/after picture of a gaze correction: enlarged eyes and one whole frame, side by side.

Observes a corrector and keeps the frames of a few moments; memory does not grow with the video.
"""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.estimate.measure import GazeEstimate
from media.gaze.policy import Decision
from media.picture.conversion import to_rgb
from media.process.files import atomic_write
from media.writing.small_picture import write_small

Picture = NDArray[np.uint8]  # (H, W, 3), red first

MOMENTS = 4  # one from each quarter of the part
COLUMN_PX = 720  # width of the "before" and of the "after" column
FULL_HEIGHT_PX = 960
GAP_PX, LABEL_PX = 12, 44
SHEET_PX = 2 * COLUMN_PX + GAP_PX  # width of the whole picture
BACKGROUND, FOREGROUND = (246, 248, 250), (32, 36, 40)
STRIP_SIDE, STRIP_UP, STRIP_DOWN = 0.14, 0.30, 0.22  # margin around the eyes, in distances between the outer corners
JPEG_QUALITY = 90
SMALL_PX = (480, 860)  # width and height that hold the small copy


@dataclass
class _Moment:
    score: float
    index: int
    time_s: float
    eyes: tuple[int, int, int, int]  # rows and columns of the strip
    before: Picture
    after: Picture | None = None
    full: list[Picture] = field(default_factory=list)


class Preview:
    """Collects before/after pictures as an observer of a corrector."""

    def __init__(self, frames: int) -> None:
        self._slot_frames = max(1, -(-frames // MOMENTS))
        self._moments: dict[int, _Moment] = {}

    def before(self, frame: Planes, estimate: GazeEstimate, decision: Decision) -> None:
        """Observe a frame before its correction; keep it if its score is the best of its quarter so far."""
        score = (decision.strength * float(np.hypot(*decision.off_deg)) + 1e-3) * estimate.opening  # not during a blink
        slot = frame.index // self._slot_frames
        # A slightly larger correction is not kept: a growing one would have every frame copied.
        if slot in self._moments and score < 1.15 * self._moments[slot].score:
            return
        eyes = _eye_strip(estimate, frame.y.shape)
        moment = self._moments[slot] = _Moment(score, frame.index, frame.time_s, eyes, _crop(frame, eyes))
        if all(score >= other.score for other in self._moments.values()):
            for other in self._moments.values():
                other.full.clear()  # only the best moment is shown as a whole frame
            moment.full.append(_full(frame))

    def after(self, frame: Planes, _estimate: GazeEstimate, _decision: Decision) -> None:
        """Observe the same frame after its correction."""
        moment = self._moments.get(frame.index // self._slot_frames)
        if moment is not None and moment.index == frame.index:
            moment.after = _crop(frame, moment.eyes)
            if moment.full:
                moment.full.append(_full(frame))

    def write(self, path: Path, caption: str, chart: Picture | None = None, small: Path | None = None) -> bool:
        """Write the picture as a JPEG, atomically; return False if no face was seen.

        Args:
            path: of the JPEG.
            caption: text below the pictures.
            chart: shown below the caption, `SHEET_PX` wide.
            small: of a small copy; None writes none.
        """
        kept = [moment for _, moment in sorted(self._moments.items()) if moment.after is not None]
        if not kept:
            return False
        whole_frames = [moment.full for moment in kept if len(moment.full) == 2]
        rows = [
            _labels(),
            *(_strips(moment) for moment in kept),
            *(_pair(*full) for full in whole_frames),
            _text(caption, SHEET_PX),
            *([chart] if chart is not None else []),
        ]
        sheet = np.ascontiguousarray(np.vstack(_spaced(rows))[:, :, ::-1])  # OpenCV writes blue first
        done, jpeg = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert done
        with atomic_write(path) as temporary:
            temporary.write_bytes(jpeg.tobytes())
        if small is not None:
            write_small(sheet, small, SMALL_PX)
        return True


def _eye_strip(estimate: GazeEstimate, picture: tuple[int, ...]) -> tuple[int, int, int, int]:
    left, right = estimate.eyes[0].upper[0], estimate.eyes[1].upper[-1]
    span, middle = float(np.linalg.norm(right - left)), (left + right) / 2
    top, bottom = middle[1] - STRIP_UP * span, middle[1] + STRIP_DOWN * span
    first, last = middle[0] - (0.5 + STRIP_SIDE) * span, middle[0] + (0.5 + STRIP_SIDE) * span
    rows = (max(0, int(top) // 2 * 2), min(picture[0], int(bottom) // 2 * 2 + 2))
    columns = (max(0, int(first) // 2 * 2), min(picture[1], int(last) // 2 * 2 + 2))
    return (*rows, *columns)


def _crop(frame: Planes, area: tuple[int, int, int, int]) -> Picture:
    top, bottom, left, right = area
    half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
    return to_rgb(Planes(frame.y[top:bottom, left:right], frame.u[half], frame.v[half], frame.index, frame.time_s))


def _full(frame: Planes) -> Picture:
    height, width = frame.y.shape
    half = (
        min(COLUMN_PX, round(width * FULL_HEIGHT_PX / height)) // 2,
        min(FULL_HEIGHT_PX, round(height * COLUMN_PX / width)) // 2,
    )
    # Scaled before the conversion to RGB: a full HD picture in RGB takes 6 MB, and several copies exist at once.
    return to_rgb(
        Planes(
            _shrunk(frame.y, (2 * half[0], 2 * half[1])),
            _shrunk(frame.u, half),
            _shrunk(frame.v, half),
            frame.index,
            frame.time_s,
        )
    )


def _shrunk(plane: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _fit(picture: Picture, width: int) -> Picture:
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    how = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def _strips(moment: _Moment) -> Picture:
    assert moment.after is not None
    pair = _pair(_fit(moment.before, COLUMN_PX), _fit(moment.after, COLUMN_PX))
    minutes, seconds = divmod(moment.time_s, 60)
    stamp = f"{int(minutes)}:{seconds:04.1f}"
    (length, _), _ = cv2.getTextSize(stamp, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)
    pair[: LABEL_PX - 10, : length + 20] = BACKGROUND
    cv2.putText(pair, stamp, (10, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, FOREGROUND, 1, cv2.LINE_AA)
    return pair


def _pair(before: Picture, after: Picture) -> Picture:
    return np.hstack([_centred(before), _blank(before.shape[0], GAP_PX), _centred(after)])


def _centred(picture: Picture) -> Picture:
    spare = COLUMN_PX - picture.shape[1]
    height = picture.shape[0]
    return np.hstack([_blank(height, spare // 2), picture, _blank(height, spare - spare // 2)])


def _labels() -> Picture:
    return np.hstack([_text("before", COLUMN_PX), _blank(LABEL_PX, GAP_PX), _text("after", COLUMN_PX)])


def _text(words: str, width: int) -> Picture:
    line = _blank(LABEL_PX, width)
    (length, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)
    cv2.putText(line, words, ((width - length) // 2, 31), cv2.FONT_HERSHEY_SIMPLEX, 0.8, FOREGROUND, 2, cv2.LINE_AA)
    return line


def _blank(height: int, width: int) -> Picture:
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def _spaced(rows: list[Picture]) -> list[Picture]:
    width = rows[0].shape[1]
    spaced: list[Picture] = []
    for row in rows:
        spaced += [row, _blank(GAP_PX, width)]
    return spaced
