"""The speaker's calibration: what "into the lens" measures for this face and camera, from sparse frames of a video.

`media.gaze.zero` finds the zero among the samples that are taken here.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

from media.container.opening import open_upload, select_video
from media.frames import Planes
from media.gaze import zero
from media.gaze.errors import EngineFailed, GazeError
from media.gaze.estimate.measure import GazeEstimate, Usual, estimate, without_bias
from media.gaze.face import model
from media.gaze.face.faces import FaceTracker, Mode
from media.gaze.face.landmarks import Landmarker
from media.picture import conversion, deinterlace
from media.picture.colour_tags import ColourTags

SAMPLES = 60
FEWEST_KEY_FRAMES = 24  # with fewer, frames between them are decoded, too
FEWEST_FACES = 6  # with fewer estimates nothing is known about the speaker
FEWEST_LIT = 5  # estimates with a ring light; fewer may be reflections of something else
USUAL_PERCENTILE = 65  # of the openings: some people close their eyes for half of a talk
FIRST_FRAMES_APART_S = 0.15
OPEN_SHARE = 0.65  # of the usual opening; estimates with lids further down are ignored
HEAD_LIMIT_DEG = 20.0
DEAD_ZONE_DEG, DEAD_ZONE_EDGE_DEG = (2.5, 4.0), 3.0  # least and most: some estimates near the zero look past the lens
UNSEEN_DEAD_ZONE_DEG = (1.5, 4.0)  # of a speaker whose eyes never rest in the lens


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration for the main speaker of a video; the plan stores it as JSON."""

    yaw_deg: float  # measured gaze when the eyes are in the lens; + to the picture's right
    pitch_deg: float  # + up
    usual_opening: float  # of the less open eye, as a share of its width
    source: Literal["seen", "anatomy"]  # measured where the eyes rest, or assumed from the average head
    samples: int  # estimates
    spread_deg: float = 0.0  # distance of estimates from the zero while the eyes rest in the lens; 0 if they never do
    usual: Usual | None = None  # medians of open eyes; None in a plan of an earlier version

    @property
    def dead_zone_deg(self) -> tuple[float, float]:
        """Return up to how far off the zero the eyes are not corrected, and from where wholly, in degrees."""
        if self.source == "anatomy":
            return UNSEEN_DEAD_ZONE_DEG
        left_alone = float(np.clip(1.2 * self.spread_deg, *DEAD_ZONE_DEG))
        return left_alone, left_alone + DEAD_ZONE_EDGE_DEG

    @property
    def zero_deg(self) -> tuple[float, float]:
        """Return the measured gaze when the eyes are in the lens: yaw and pitch."""
        return self.yaw_deg, self.pitch_deg

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the fields as JSON for a message or a command line."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Calibration":  # Any: JSON
        """Rebuild a calibration from `to_json`.

        Raises:
            KeyError: a field is missing.
            ValueError: a field is out of range.
            TypeError: the fields are no object, or a value has a wrong type.
        """
        source = fields["source"]
        if source not in ("seen", "anatomy"):
            raise ValueError(f"not a calibration: {fields}")
        calibration = cls(
            yaw_deg=float(fields["yaw_deg"]),
            pitch_deg=float(fields["pitch_deg"]),
            usual_opening=float(fields["usual_opening"]),
            source=source,
            samples=int(fields["samples"]),
            spread_deg=float(fields["spread_deg"]),
            usual=None if fields.get("usual") is None else _usual_from(fields["usual"]),
        )
        if not (
            abs(calibration.yaw_deg) <= 45
            and abs(calibration.pitch_deg) <= 45
            and 0 < calibration.usual_opening < 1
            and 0 <= calibration.spread_deg < 10
        ):
            raise ValueError(f"not a calibration: {fields}")
        return calibration


def _usual_from(fields: dict[str, Any]) -> Usual:  # Any: JSON
    yaw, pitch = fields["bias_deg"]
    usual = Usual(float(fields["squint"]), float(fields["crossed_deg"]), (float(yaw), float(pitch)))
    if abs(usual.squint) > 2 or max(map(abs, (usual.crossed_deg, *usual.bias_deg))) > 90:
        raise ValueError(f"not a calibration's usual values: {fields}")
    return usual


def calibrate(path: Path, *, samples: int = SAMPLES, finder: FaceTracker | None = None) -> Calibration | None:
    """Measure the speaker in sparse frames of a whole video.

    Args:
        path: a playable video.
        samples: frames to measure, at most.
        finder: a finder in `Mode.SPARSE`; made and closed here when not given.

    Returns:
        None when too few frames show a face, or the landmark engine does not start.

    Raises:
        Refused: the file cannot be read as a video.
    """
    try:
        head = model.average_head(model.locate())
        used = finder or Landmarker(mode=Mode.SPARSE)
    except GazeError:
        return None  # the gaze stage meets the same error and reports it
    try:
        whole = list(_estimates(sparse_frames(path, samples), used, head))
        beginning = list(_estimates(first_frames(path), used, head))
    finally:
        if finder is None:
            used.close()
    return from_estimates([one for _, one in whole], beginning)


def _estimates(frames: Iterable[Planes], finder: FaceTracker, head: model.Head) -> Iterator[tuple[float, GazeEstimate]]:
    """Yield the time and the estimate of each frame that shows a face."""
    for frame in frames:
        try:
            faces = finder.find(frame)
            largest = max(faces, key=lambda face: float(np.prod(np.ptp(face.points, axis=0))), default=None)
            # The crop in which a face is first found is not the one in which it is tracked later, and pitch is measured
            # 1 to 3 degrees lower in it. The crop around the points that were found is the same.
            settled = largest and finder.redetect(frame, largest)
        except EngineFailed:
            continue
        if settled:
            found = estimate(settled, head, frame.y)
            if found is not None:
                yield frame.time_s, found


def from_estimates(
    estimates: Sequence[GazeEstimate], beginning: Sequence[tuple[float, GazeEstimate]] = ()
) -> Calibration | None:
    """Calibrate from the estimates of one speaker; None when they are too few.

    Args:
        estimates: spread over the video.
        beginning: of the first seconds, each with its time in seconds, in order; may be left out.
    """
    if len(estimates) < FEWEST_FACES:
        return None
    usual = float(np.percentile([one.narrower for one in estimates], USUAL_PERCENTILE))
    telling = [one for one in estimates if _is_telling(one, usual)]
    usual_values = _usual_values(telling)
    bias = usual_values.bias_deg if usual_values else (0.0, 0.0)
    found = zero.find(
        [zero.Sample(without_bias(one, bias).gaze_deg) for one in telling],
        [
            (time_s, zero.Sample(without_bias(one, bias).gaze_deg))
            for time_s, one in beginning
            if _is_telling(one, usual)
        ],
    )
    yaw, pitch = (round(angle, 2) + 0.0 for angle in found.gaze_deg)  # no -0.0
    source: Literal["seen", "anatomy"] = "seen" if found.is_seen else "anatomy"
    spread = round(found.spread_deg, 2)
    return Calibration(yaw, pitch, round(usual, 4), source, len(estimates), spread, usual_values)


def _usual_values(estimates: Sequence[GazeEstimate]) -> Usual | None:
    """Return what is usual of open eyes; without a ring light, their zero contains the bias."""
    if not estimates:
        return None
    lit = [one.apart_deg for one in estimates if one.apart_deg is not None]
    bias = (median(yaw for yaw, _ in lit), median(pitch for _, pitch in lit)) if len(lit) >= FEWEST_LIT else (0.0, 0.0)
    squint, crossed = median(one.squint for one in estimates), median(one.crossed_deg for one in estimates)
    return Usual(round(squint, 4), round(crossed, 2), (round(bias[0], 2), round(bias[1], 2)))


def _is_telling(one: GazeEstimate, usual: float) -> bool:
    return one.narrower >= OPEN_SHARE * usual and max(abs(one.head_deg[0]), abs(one.head_deg[1])) <= HEAD_LIMIT_DEG


def sparse_frames(path: Path, samples: int) -> Iterator[Planes]:
    """Yield at most so many upright frames spread over a video; decode only key frames when there are enough."""
    total, keys = _packets(path)
    enough = keys >= FEWEST_KEY_FRAMES
    step = max(1, (keys if enough else total) // samples)
    frames = _decode(path, "NONKEY" if enough else "NONREF", lambda number, _: number % step == 0)
    yield from islice(frames, samples)


def first_frames(path: Path) -> Iterator[Planes]:
    """Yield some upright frames of the beginning of a video, in which the speaker may look into the lens."""
    begin: float | None = None
    due_s = -math.inf

    def is_due(_: int, time_s: float) -> bool:
        nonlocal due_s
        if time_s < due_s:
            return False
        due_s = time_s + FIRST_FRAMES_APART_S
        return True

    for frame in _decode(path, "NONREF", is_due):
        begin = frame.time_s if begin is None else begin
        if frame.time_s > begin + zero.BEGINNING_S:
            return
        yield frame


def _packets(path: Path) -> tuple[int, int]:
    """Count all frames and key frames without decoding."""
    with open_upload(path) as container:
        keys = [packet.is_keyframe for packet in container.demux(select_video(container)) if packet.size]
        return len(keys), sum(keys)


def _decode(path: Path, skip: Literal["NONKEY", "NONREF"], is_wanted: Callable[[int, float], bool]) -> Iterator[Planes]:
    with open_upload(path) as container:
        stream = select_video(container)
        stream.codec_context.skip_frame = skip
        converter, aspect, tags = conversion.StreamConverter(), conversion.PixelAspect(stream), ColourTags(stream)
        for number, frame in enumerate(container.decode(stream)):
            if not is_wanted(number, float(frame.time or 0.0)):
                continue
            progressive = deinterlace.deinterlaced_frame(tags.apply(frame))
            yield converter.converter_for(progressive, aspect).convert(progressive, number, float(frame.time or 0.0))
