"""The speaker's own zero: where "into the lens" lies for this face and camera, from a sparse look at a whole video.

Every way of measuring gaze is off by some degrees for each person. Whoever looks into the lens again and again shows
in the measurements as a dense place close to (0, 0): that place is the zero. Whoever reads all the time shows none;
then the anatomy decides: the zero is (0, 0), or part of the way to a place a little beside it where the eyes rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from media.container.opening import open_upload, select_video
from media.frames import Planes
from media.gaze.easing import fade
from media.gaze.errors import EngineFailed, GazeError
from media.gaze.estimate.measure import GazeEstimate, estimate
from media.gaze.face import model
from media.gaze.face.faces import FaceTracker, Mode
from media.gaze.face.landmarks import Landmarker
from media.picture import conversion, deinterlace
from media.picture.colour_tags import ColourTags

SAMPLES = 60
FEWEST_KEY_FRAMES = 24  # with fewer, frames between them are looked at too
FEWEST_FACES = 6  # below this nothing is known about the speaker
USUAL_PERCENTILE = 65  # of the openings: some people shut their eyes for half of a talk
OPEN_SHARE = 0.65  # of the usual opening; lower lids say nothing about the lens
HEAD_LIMIT_DEG = 20.0
KERNEL_DEG = 2.5
# Person bias of the measurement, two standard deviations of it sideways; a mode further off is someone who looks
# elsewhere. Pitch is measured worse than yaw, and viewers mind it less.
NEAR_LENS_YAW_DEG, NEAR_LENS_PITCH_DEG = 5.0, 8.0
# Of a mode beyond, in which someone rests most of the time, bias may still be a part: less and less of it up to this
# many times that distance. Without it, someone who looks 2 to 3 degrees aside and is measured at 7 was turned past the
# lens.
NO_BIAS_AT, MOST_SHARE = 1.6, 0.5
REST_DEG = 6.0  # measurements this close to the zero are taken for eyes that rest in the lens
DEAD_ZONE_DEG, DEAD_ZONE_EDGE_DEG = (2.5, 4.0), 3.0  # at least and at most, for eyes look past the lens, too
UNSEEN_DEAD_ZONE_DEG = (1.5, 4.0)  # of someone who was never seen to rest there
LEAST_SHARE = 0.15  # of the samples within two kernels of a mode, for it to count


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a whole video tells about its speaker."""

    yaw_deg: float  # of the measured gaze when the eyes are in the lens; + picture right
    pitch_deg: float  # + up
    usual_opening: float  # of the eye that is shut more, as a share of its width
    source: Literal["seen", "anatomy"]  # a place where the eyes rest, or the average head
    samples: int  # frames with a face that were looked at
    spread_deg: float = 0.0  # how far measurements lie apart while the eyes rest in the lens; 0 when never seen there

    @property
    def dead_zone_deg(self) -> tuple[float, float]:
        """Return how far off the zero eyes are left alone, and from where they are corrected wholly."""
        if self.source == "anatomy":
            return UNSEEN_DEAD_ZONE_DEG
        left_alone = float(np.clip(1.2 * self.spread_deg, *DEAD_ZONE_DEG))
        return left_alone, left_alone + DEAD_ZONE_EDGE_DEG

    @property
    def gaze_deg(self) -> tuple[float, float]:
        """Yaw and pitch."""
        return self.yaw_deg, self.pitch_deg

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return plain values for a message or a command line."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Calibration":  # Any: JSON
        """Rebuild what `to_json` gave; KeyError or ValueError when it is something else."""
        source = fields["source"]
        if source not in ("seen", "anatomy"):
            raise ValueError(f"not a speaker's zero: {fields}")
        zero = cls(
            yaw_deg=float(fields["yaw_deg"]),
            pitch_deg=float(fields["pitch_deg"]),
            usual_opening=float(fields["usual_opening"]),
            source=source,
            samples=int(fields["samples"]),
            spread_deg=float(fields["spread_deg"]),
        )
        if not (
            abs(zero.yaw_deg) <= 45
            and abs(zero.pitch_deg) <= 45
            and 0 < zero.usual_opening < 1
            and 0 <= zero.spread_deg < 10
        ):
            raise ValueError(f"not a speaker's zero: {fields}")
        return zero


def calibrate(path: Path, *, samples: int = SAMPLES, finder: FaceTracker | None = None) -> Calibration | None:
    """Look at some frames of the whole video.

    Args:
        path: a playable video.
        samples: how many frames to look at, at most.
        finder: for sparse pictures; made here, and closed, when not given.

    Returns:
        None when a face is seen too seldom, or the landmark engine does not start: then nothing is known.

    Raises:
        Refused: the file cannot be read as a video.
    """
    try:
        head = model.average_head(model.locate())
        used = finder or Landmarker(mode=Mode.SPARSE)
    except GazeError:
        return None  # whoever corrects will meet the same trouble, and says so
    try:
        looks = list(_looks(path, samples, used, head))
    finally:
        if finder is None:
            used.close()
    return from_estimates(looks)


def _looks(path: Path, samples: int, finder: FaceTracker, head: model.Head) -> Iterator[GazeEstimate]:
    for frame in sparse_frames(path, samples):
        try:
            faces = finder.find(frame)
            largest = max(faces, key=lambda face: float(np.prod(np.ptp(face.points, axis=0))), default=None)
            # The frame around a face that was just found is not the one in which it is followed later, and pitch is
            # measured 1 to 3 degrees lower in it; around the points of that first look it is.
            settled = largest and finder.redetect(frame, largest)
        except EngineFailed:
            continue
        if settled:
            found = estimate(settled, head, frame.y)
            if found is not None:
                yield found


def from_estimates(looks: Sequence[GazeEstimate]) -> Calibration | None:
    """Find the zero among measurements of one speaker; None when they are too few."""
    if len(looks) < FEWEST_FACES:
        return None
    usual = float(np.percentile([one.narrower for one in looks], USUAL_PERCENTILE))
    gazes = [
        one.gaze_deg
        for one in looks
        if one.narrower >= OPEN_SHARE * usual and max(abs(one.head_deg[0]), abs(one.head_deg[1])) <= HEAD_LIMIT_DEG
    ]
    mode = _lens_mode(np.array(gazes)) if len(gazes) >= FEWEST_FACES else None
    if mode is None:
        return Calibration(0.0, 0.0, round(usual, 4), "anatomy", len(looks))
    distance = _distance(mode)
    if distance > 1:
        bias = fade(distance, (1.0, NO_BIAS_AT))
        return Calibration(round(bias * mode[0], 2), round(bias * mode[1], 2), round(usual, 4), "anatomy", len(looks))
    apart = np.hypot(*(np.array(gazes) - mode).T)
    spread = float(np.percentile(apart[apart <= REST_DEG], 80))
    return Calibration(round(mode[0], 2), round(mode[1], 2), round(usual, 4), "seen", len(looks), round(spread, 2))


def _lens_mode(gazes: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the mode of the distribution that lies closest to the lens; a mode further off has to be a main one."""
    modes = _modes(gazes)
    apart = np.hypot(*(modes[:, None, :] - gazes[None, :, :]).transpose(2, 0, 1))
    shares = (apart <= 2 * KERNEL_DEG).mean(axis=1)
    dense = [
        (float(yaw), float(pitch))
        for (yaw, pitch), share in zip(modes, shares, strict=True)
        if share >= (LEAST_SHARE if _distance((yaw, pitch)) <= 1 else MOST_SHARE)
    ]
    return min(dense, key=_distance, default=None)


def _distance(gaze_deg: tuple[float, float]) -> float:
    """Say how far off the lens a gaze lies, in the measurement's bias: up to 1 it may well be the lens."""
    return float(np.hypot(gaze_deg[0] / NEAR_LENS_YAW_DEG, gaze_deg[1] / NEAR_LENS_PITCH_DEG))


def _modes(gazes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Climb from every sample to the top of its hill (mean shift with a Gaussian kernel)."""
    places = gazes.copy()
    for _ in range(30):
        apart = ((places[:, None, :] - gazes[None, :, :]) ** 2).sum(axis=2)
        weights = np.exp(-0.5 * apart / KERNEL_DEG**2)
        places = weights @ gazes / weights.sum(axis=1, keepdims=True)
    return places


def sparse_frames(path: Path, samples: int) -> Iterator[Planes]:
    """Yield up to so many frames spread over a video, upright, without decoding what lies between if possible."""
    total, keys = _packets(path)
    enough = keys >= FEWEST_KEY_FRAMES
    step = max(1, (keys if enough else total) // samples)
    yield from islice(_decode(path, "NONKEY" if enough else "NONREF", step), samples)


def _packets(path: Path) -> tuple[int, int]:
    """Count all frames and key frames without decoding."""
    with open_upload(path) as container:
        keys = [packet.is_keyframe for packet in container.demux(select_video(container)) if packet.size]
        return len(keys), sum(keys)


def _decode(path: Path, skip: Literal["NONKEY", "NONREF"], step: int) -> Iterator[Planes]:
    with open_upload(path) as container:
        stream = select_video(container)
        stream.codec_context.skip_frame = skip
        converter, aspect, tags = conversion.StreamConverter(), conversion.PixelAspect(stream), ColourTags(stream)
        for number, frame in enumerate(container.decode(stream)):
            if number % step:
                continue
            progressive = deinterlace.deinterlaced_frame(tags.apply(frame))
            yield converter.converter_for(progressive, aspect).convert(progressive, number, float(frame.time or 0.0))
