"""The speaker's calibration: what "into the lens" measures for this face and camera, from sparse frames of a video.

Every measurement of gaze has an offset of some degrees for each person. A speaker who looks into the lens again and
again shows in the measurements as a dense place close to (0, 0): this place is the zero. A speaker who reads all the
time shows none; then the zero is (0, 0), or a part of the way to a place a little beside it where the eyes rest.
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
FEWEST_KEY_FRAMES = 24  # with fewer, frames between them are decoded, too
FEWEST_FACES = 6  # with fewer estimates nothing is known about the speaker
USUAL_PERCENTILE = 65  # of the openings: some people close their eyes for half of a talk
OPEN_SHARE = 0.65  # of the usual opening; estimates with lids further down are ignored
HEAD_LIMIT_DEG = 20.0
KERNEL_DEG = 2.5
# The measurement's bias for a person: two standard deviations of it sideways. A mode further off belongs to a speaker
# who looks elsewhere. Pitch is measured less exactly than yaw, and viewers mind it less.
NEAR_LENS_YAW_DEG, NEAR_LENS_PITCH_DEG = 5.0, 8.0
# Of a mode further off, in which the eyes rest most of the time, a part may still be bias: less and less of it up to
# this many times that distance. Without it, a speaker who looks 2 to 3 degrees aside and is measured at 7 was turned
# past the lens.
NO_BIAS_AT, MOST_SHARE = 1.6, 0.5
REST_DEG = 6.0  # estimates this close to the zero belong to eyes that rest in the lens
DEAD_ZONE_DEG, DEAD_ZONE_EDGE_DEG = (2.5, 4.0), 3.0  # least and most: some estimates near the zero look past the lens
UNSEEN_DEAD_ZONE_DEG = (1.5, 4.0)  # of a speaker whose eyes never rest in the lens
LEAST_SHARE = 0.15  # share of the estimates within two kernels that a mode needs


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration for the main speaker of a video; the plan stores it as JSON."""

    yaw_deg: float  # measured gaze when the eyes are in the lens; + to the picture's right
    pitch_deg: float  # + up
    usual_opening: float  # of the less open eye, as a share of its width
    source: Literal["seen", "anatomy"]  # measured where the eyes rest, or assumed from the average head
    samples: int  # estimates
    spread_deg: float = 0.0  # distance of estimates from the zero while the eyes rest in the lens; 0 if they never do

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
        )
        if not (
            abs(calibration.yaw_deg) <= 45
            and abs(calibration.pitch_deg) <= 45
            and 0 < calibration.usual_opening < 1
            and 0 <= calibration.spread_deg < 10
        ):
            raise ValueError(f"not a calibration: {fields}")
        return calibration


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
        estimates = list(_estimates(path, samples, used, head))
    finally:
        if finder is None:
            used.close()
    return from_estimates(estimates)


def _estimates(path: Path, samples: int, finder: FaceTracker, head: model.Head) -> Iterator[GazeEstimate]:
    for frame in sparse_frames(path, samples):
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
                yield found


def from_estimates(estimates: Sequence[GazeEstimate]) -> Calibration | None:
    """Calibrate from the estimates of one speaker; None when they are too few."""
    if len(estimates) < FEWEST_FACES:
        return None
    usual = float(np.percentile([one.narrower for one in estimates], USUAL_PERCENTILE))
    gazes = [
        one.gaze_deg
        for one in estimates
        if one.narrower >= OPEN_SHARE * usual and max(abs(one.head_deg[0]), abs(one.head_deg[1])) <= HEAD_LIMIT_DEG
    ]
    count, mode = len(estimates), _lens_mode(np.array(gazes)) if len(gazes) >= FEWEST_FACES else None
    if mode is None:
        return Calibration(0.0, 0.0, round(usual, 4), "anatomy", count)
    distance = _distance(mode)
    if distance > 1:
        bias = fade(distance, (1.0, NO_BIAS_AT))
        return Calibration(round(bias * mode[0], 2), round(bias * mode[1], 2), round(usual, 4), "anatomy", count)
    apart = np.hypot(*(np.array(gazes) - mode).T)
    spread = float(np.percentile(apart[apart <= REST_DEG], 80))
    return Calibration(round(mode[0], 2), round(mode[1], 2), round(usual, 4), "seen", count, round(spread, 2))


def _lens_mode(gazes: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the dense mode closest to the lens, (n, 2) gazes in degrees; a mode far off must hold most of them."""
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
    """Return a gaze's distance from (0, 0) in units of the bias; up to 1 it may be the lens."""
    return float(np.hypot(gaze_deg[0] / NEAR_LENS_YAW_DEG, gaze_deg[1] / NEAR_LENS_PITCH_DEG))


def _modes(gazes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mode to which each gaze, (n, 2), belongs: mean shift with a Gaussian kernel."""
    places = gazes.copy()
    for _ in range(30):
        apart = ((places[:, None, :] - gazes[None, :, :]) ** 2).sum(axis=2)
        weights = np.exp(-0.5 * apart / KERNEL_DEG**2)
        places = weights @ gazes / weights.sum(axis=1, keepdims=True)
    return places


def sparse_frames(path: Path, samples: int) -> Iterator[Planes]:
    """Yield at most so many upright frames spread over a video; decode only key frames when there are enough."""
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
