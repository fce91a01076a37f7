"""Where a vertical window must stand in a landscape video, so that the speaker stays in it and it moves like a camera.

Looked for in about one picture a second before the part is rendered, because a window that is to begin to move before
the speaker does would have to hold back seconds of pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze.errors import GazeError
from media.gaze.face.faces import Face, FaceFinder, Mode
from media.gaze.face.landmarks import Landmarker
from media.reading.frame_reader import Reel
from media.reading.spans import Span
from media.reframing import framing
from media.reframing.framing import Crop, Fallback, Framed, Layout

Floats = NDArray[np.float64]

LOOK_EVERY_S = 1.0
KEYS_EVERY_S = 2.5  # with key frames this near to each other nothing else need be decoded
SEEN_SHARE = 0.3  # of the looks in which a face must be
CROWD_SHARE = 0.15  # of the looks in which faces that do not fit in the window are a conversation
STAND_STILL = 0.12  # of the window's width: the face may move that far before the window does
STEPS_A_SECOND = 10
SOFT_S = 0.7  # standard deviation of the smoothing: a pan takes some two seconds
JUMP = 0.25  # of the picture's width between two looks is no walk but another scene


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look at a picture told; all as shares of the picture's width."""

    time_s: float  # within the span
    middle: float | None  # x of the largest face; None without a face
    spread: float = 0.0  # from the leftmost edge of a face to the rightmost


def frame_for(layout: Layout, source: Path, span: Span, finder: FaceFinder | None = None) -> Framed | None:
    """Decide how a span's pictures are framed; None when they are not landscape, or are to stay so.

    Args:
        layout: what was asked for.
        source: the upload.
        span: the part.
        finder: for sparse pictures and at least two faces; made here, and closed, when not given.

    Raises:
        Refused: the source cannot be played.
    """
    if layout is Layout.NONE:
        return None
    first = next(Reel(source, span).glances(LOOK_EVERY_S, KEYS_EVERY_S), None)
    if first is None or not framing.is_landscape(first.y.shape[1], first.y.shape[0]):
        return None
    if layout is Layout.BLUR:
        return Framed(layout, framing.blur)
    window = framing.crop_width(first.y.shape[1], first.y.shape[0]) / first.y.shape[1]
    try:
        glances = look(source, span, finder)
    except GazeError:
        return Framed(Layout.BLUR, framing.blur, Fallback.DETECTOR_FAILED)
    if reason := why_not(glances, window):
        return Framed(Layout.BLUR, framing.blur, reason)
    return Framed(layout, Crop(path_of(glances, window, span)))


def look(source: Path, span: Span, finder: FaceFinder | None = None) -> list[Glance]:
    """Look for faces in about one picture a second.

    Raises:
        Refused: the source cannot be played.
        GazeError: faces cannot be looked for.
    """
    used = finder or Landmarker(mode=Mode.SPARSE, faces=2)
    try:
        pictures = Reel(source, span).glances(LOOK_EVERY_S, KEYS_EVERY_S)
        return [_glance(frame, used.find(frame)) for frame in pictures]
    finally:
        if finder is None:
            used.close()


def _glance(frame: Planes, faces: list[Face]) -> Glance:
    if not faces:
        return Glance(frame.time_s, None)
    edges = np.array([(face.points[:, 0].min(), face.points[:, 0].max()) for face in faces]) / frame.y.shape[1]
    largest = int(np.argmax(edges[:, 1] - edges[:, 0]))
    # Somebody half as big stands in the background.
    near = edges[(edges[:, 1] - edges[:, 0]) > 0.5 * (edges[largest, 1] - edges[largest, 0])]
    return Glance(frame.time_s, float(edges[largest].mean()), float(near[:, 1].max() - near[:, 0].min()))


def why_not(glances: Sequence[Glance], window: float) -> Fallback | None:
    """Say why there is nobody to follow; None when there is.

    Args:
        glances: at least one.
        window: width of the window as a share of the picture's.
    """
    seen = [glance for glance in glances if glance.middle is not None]
    if len(seen) < max(1, SEEN_SHARE * len(glances)):
        return Fallback.NO_FACE
    if sum(glance.spread > window for glance in seen) > CROWD_SHARE * len(glances):
        return Fallback.SEVERAL_FACES
    return None


def path_of(glances: Sequence[Glance], window: float, span: Span) -> NDArray[np.float64]:
    """Return where the window's middle is in each frame of the span, as a share of the picture's width.

    Args:
        glances: in order; at least one with a face.
        window: width of the window as a share of the picture's.
        span: the part.
    """
    seen = [(glance.time_s, glance.middle) for glance in glances if glance.middle is not None]
    times, middles = np.array(seen, np.float64).T
    frames = np.arange(span.frames) / float(span.rate)
    cuts = np.flatnonzero(np.abs(np.diff(middles)) > JUMP) + 1
    path = np.empty(span.frames)
    # Between two places too far apart for a walk the window jumps, as the picture does, in the middle of the two looks.
    borders = [-np.inf, *((times[cut - 1] + times[cut]) / 2 for cut in cuts), np.inf]
    for (begins, ends), places in zip(pairwise(borders), np.split(np.arange(len(times)), cuts), strict=True):
        here = (frames >= begins) & (frames < ends)
        path[here] = _camera(times[places], middles[places], window, frames[here])
    return np.asarray(np.clip(path, window / 2, 1 - window / 2), np.float64)


def _camera(times: Floats, middles: Floats, window: float, frames: Floats) -> Floats:
    """Follow a face as somebody at a camera does: stand while it stays near the middle, else pan softly."""
    if not len(frames):
        return frames
    steps = np.arange(frames[0] - 3 * SOFT_S, frames[-1] + 3 * SOFT_S + 1, 1 / STEPS_A_SECOND)
    wanted = np.interp(steps, times, middles)
    room, stands = STAND_STILL * window, float(wanted[0])
    held = np.empty_like(wanted)
    for number, middle in enumerate(wanted):
        stands = min(max(stands, middle - room), middle + room)
        held[number] = stands
    reach = round(3 * SOFT_S * STEPS_A_SECOND)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (SOFT_S * STEPS_A_SECOND)) ** 2)
    soft = np.convolve(np.pad(held, reach, mode="edge"), bell / bell.sum(), mode="valid")
    return np.interp(frames, steps, soft)
