"""Moves a vertical window over a landscape video so that the speaker stays in it, as a camera operator does.

Faces are detected in about one frame a second, before the part is rendered. Detection during the render would have to
hold back seconds of frames, because a pan begins before the speaker leaves the window.
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
from media.reading.frame_reader import FrameReader
from media.reading.spans import Span
from media.reframing import framing
from media.reframing.framing import Crop, Fallback, FramingPlan, Layout

Floats = NDArray[np.float64]

SAMPLE_INTERVAL_S = 1.0
MAX_KEY_INTERVAL_S = 2.5  # with key frames at least this often, only key frames are decoded
MIN_FACE_SHARE = 0.3  # of the samples; with a face in fewer, no speaker is followed
MAX_SEVERAL_SHARE = 0.15  # of the samples; with faces too far apart for the window in more, it is a conversation
DEAD_ZONE = 0.12  # of the window's width: the face may move this far before the window does
STEPS_A_SECOND = 10
SMOOTHING_S = 0.7  # standard deviation; a pan takes some two seconds
SCENE_CHANGE = 0.25  # of the picture's width; a face that moves further between two samples is in another scene


@dataclass(frozen=True, slots=True)
class FaceSample:
    """The faces in one frame; positions as shares of the picture's width."""

    time_s: float  # within the span
    middle: float | None  # x of the largest face's centre; None without a face
    spread: float = 0.0  # from the leftmost edge of a face to the rightmost


def choose_framing(layout: Layout, source: Path, span: Span, finder: FaceFinder | None = None) -> FramingPlan | None:
    """Return how a span's pictures are framed; None if they are not landscape, or stay landscape.

    Args:
        layout: the requested one.
        source: the upload.
        span: the part.
        finder: finds at least two faces in sparse frames; None creates one and closes it.

    Raises:
        Refused: the source cannot be played.
    """
    if layout is Layout.NONE:
        return None
    first = next(FrameReader(source, span).samples(SAMPLE_INTERVAL_S, MAX_KEY_INTERVAL_S), None)
    if first is None or not framing.is_landscape(first.y.shape[1], first.y.shape[0]):
        return None
    if layout is Layout.BLUR:
        return FramingPlan(layout, framing.blur)
    window = framing.crop_width(first.y.shape[1], first.y.shape[0]) / first.y.shape[1]
    try:
        samples = sample_faces(source, span, finder)
    except GazeError:
        return FramingPlan(Layout.BLUR, framing.blur, Fallback.DETECTOR_FAILED)
    if reason := fallback_reason(samples, window):
        return FramingPlan(Layout.BLUR, framing.blur, reason)
    return FramingPlan(layout, Crop(window_path(samples, window, span)))


def sample_faces(source: Path, span: Span, finder: FaceFinder | None = None) -> list[FaceSample]:
    """Detect the faces in about one frame a second.

    Raises:
        Refused: the source cannot be played.
        GazeError: the face detector failed.
    """
    used = finder or Landmarker(mode=Mode.SPARSE, faces=2)
    try:
        frames = FrameReader(source, span).samples(SAMPLE_INTERVAL_S, MAX_KEY_INTERVAL_S)
        return [_sample(frame, used.find(frame)) for frame in frames]
    finally:
        if finder is None:
            used.close()


def _sample(frame: Planes, faces: list[Face]) -> FaceSample:
    if not faces:
        return FaceSample(frame.time_s, None)
    edges = np.array([(face.points[:, 0].min(), face.points[:, 0].max()) for face in faces]) / frame.y.shape[1]
    largest = int(np.argmax(edges[:, 1] - edges[:, 0]))
    # A face half as large is in the background.
    near = edges[(edges[:, 1] - edges[:, 0]) > 0.5 * (edges[largest, 1] - edges[largest, 0])]
    return FaceSample(frame.time_s, float(edges[largest].mean()), float(near[:, 1].max() - near[:, 0].min()))


def fallback_reason(samples: Sequence[FaceSample], window: float) -> Fallback | None:
    """Return why no single speaker can be followed; None if one can.

    Args:
        samples: at least one.
        window: width of the window as a share of the picture's.
    """
    with_face = [sample for sample in samples if sample.middle is not None]
    if len(with_face) < max(1, MIN_FACE_SHARE * len(samples)):
        return Fallback.NO_FACE
    if sum(sample.spread > window for sample in with_face) > MAX_SEVERAL_SHARE * len(samples):
        return Fallback.SEVERAL_FACES
    return None


def window_path(samples: Sequence[FaceSample], window: float, span: Span) -> NDArray[np.float64]:
    """Return the x of the window's centre in each frame of the span, as a share of the picture's width.

    Args:
        samples: in order; at least one with a face.
        window: width of the window as a share of the picture's.
        span: the part.
    """
    with_face = [(sample.time_s, sample.middle) for sample in samples if sample.middle is not None]
    times, middles = np.array(with_face, np.float64).T
    frames = np.arange(span.frames) / float(span.rate)
    cuts = np.flatnonzero(np.abs(np.diff(middles)) > SCENE_CHANGE) + 1
    path = np.empty(span.frames)
    # Between two scenes the window jumps, as the picture does, halfway between the two samples.
    borders = [-np.inf, *((times[cut - 1] + times[cut]) / 2 for cut in cuts), np.inf]
    for (begins, ends), places in zip(pairwise(borders), np.split(np.arange(len(times)), cuts), strict=True):
        here = (frames >= begins) & (frames < ends)
        path[here] = _smooth_path(times[places], middles[places], window, frames[here])
    return np.asarray(np.clip(path, window / 2, 1 - window / 2), np.float64)


def _smooth_path(times: Floats, middles: Floats, window: float, frames: Floats) -> Floats:
    """Return the window's centre in one scene: it rests while the face is in the dead zone, else it pans smoothly."""
    if not len(frames):
        return frames
    steps = np.arange(frames[0] - 3 * SMOOTHING_S, frames[-1] + 3 * SMOOTHING_S + 1, 1 / STEPS_A_SECOND)
    targets = np.interp(steps, times, middles)
    tolerance, position = DEAD_ZONE * window, float(targets[0])
    resting = np.empty_like(targets)
    for number, middle in enumerate(targets):
        position = min(max(position, middle - tolerance), middle + tolerance)
        resting[number] = position
    reach = round(3 * SMOOTHING_S * STEPS_A_SECOND)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (SMOOTHING_S * STEPS_A_SECOND)) ** 2)
    smooth = np.convolve(np.pad(resting, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
    return np.interp(frames, steps, smooth)
