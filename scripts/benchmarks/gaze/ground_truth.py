"""The remaining error of a known gaze after correction, and the error of the corrector's own measurement.

The ruler is the iris' rim in the picture: on the uncorrected film, whose truth is known, its place is fitted to angles;
through the same fit the corrected film is read. Neither networks nor MediaPipe take part in that.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.frames import Planes
from media.gaze import calibration
from media.gaze.calibration import Calibration
from media.gaze.corrector import Corrector
from media.gaze.face import model
from media.gaze.face.landmarks import Landmarker
from media.gaze.policy import Policy
from media.gaze.report import FrameResult
from scripts.benchmarks.gaze import clips, depth_map, measurements, rendered_face, rendered_film
from scripts.benchmarks.gaze.faces import Face, Numbers, bgr
from scripts.benchmarks.gaze.judges import Judge, centre
from scripts.benchmarks.gaze.rendered_film import Pose
from scripts.benchmarks.gaze.weights import JudgeMissing

JUDGED_EVERY = 3
EXACT = (1.0, 1.0)  # gain: the iris goes exactly as far as the measured angle says
MANY, SOME = 20, 9  # poses from which a cubic, or a quadratic, ruler can be fitted; else it is straight

Correct = Callable[[Iterable[Planes], Calibration | None, Callable[[FrameResult], None]], Iterator[Planes]]


@dataclass(frozen=True)
class Setting:
    """Poses with the same head pose and size, which share a calibration of the ruler."""

    head_deg: tuple[float, float]
    wide_px: float

    @property
    def name(self) -> str:
        """The name in the table."""
        if self.wide_px != rendered_face.Framing.wide_px:
            return "small eyes"
        yaw, pitch = self.head_deg
        return f"head {yaw:+.0f}, {pitch:+.0f}" if any(self.head_deg) else "straight ahead"


@dataclass(frozen=True)
class GroundTruth:
    """Measurements of the rendered film over its settled frames; degrees, NaN where nothing was measured."""

    poses: list[Pose]
    told: list[FrameResult]
    zero: Calibration | None  # what the corrector took for the lens
    ruler_deg: Numbers  # (n, 2) before correction, through the ruler: shows its own error
    left_deg: Numbers  # (n, 2) after correction, through the ruler
    judged_deg: Numbers  # (2, judges, n, 2) before and after

    @cached_property
    def true_deg(self) -> Numbers:
        """(n, 2)."""
        return np.array([pose.gaze_deg for pose in self.poses])

    @cached_property
    def measured_deg(self) -> Numbers:
        """(n, 2): the corrector's measure, its zero added again."""
        zero = self.zero.zero_deg if self.zero else (0.0, 0.0)
        return np.array([one.off_deg or (np.nan, np.nan) for one in self.told]) + zero

    @cached_property
    def head_error_deg(self) -> Numbers:
        """(n, 2): the measured head minus the true one, but for what is the same in all frames."""
        apart = np.array([one.head_deg or (np.nan, np.nan) for one in self.told])
        apart -= np.array([pose.head_deg for pose in self.poses])
        return np.asarray(apart - np.nanmedian(apart, axis=0), np.float64)

    @cached_property
    def applied(self) -> Numbers:
        """(n,): the share of its way that the corrector took back."""
        return np.array([one.applied for one in self.told])

    @cached_property
    def missed_deg(self) -> Numbers:
        """(n, 2): where the eyes came to look, minus where the corrector meant them to: the redrawing's own error."""
        off = np.array([one.off_deg or (np.nan, np.nan) for one in self.told])
        return np.asarray(self.left_deg - (self.true_deg - self.applied[:, None] * off), np.float64)

    def settings(self) -> dict[Setting, NDArray[np.bool_]]:
        """Return which frames belong to each."""
        return _settings(self.poses)


def correct(
    frames: Iterable[Planes],
    zero: Calibration | None,
    told: Callable[[FrameResult], None],
    gain: tuple[float, float] = EXACT,
) -> Iterator[Planes]:
    """Correct frames with the product's corrector, as its child process does, at full intensity and the given gain."""
    head = model.average_head(model.locate())
    with Landmarker() as finder:
        stage = Corrector(
            finder,
            head,
            intensity=1.0,
            zero=zero.zero_deg if zero else (0.0, 0.0),
            policy=Policy(dead_zone_deg=zero.dead_zone_deg) if zero else Policy(),
            usual_opening=zero.usual_opening if zero else None,
            usual=zero.usual if zero else None,
            on_result=told,
            gain=gain,
        )
        for frame in frames:
            yield from stage.push(frame)
        yield from stage.drain()


def find(
    judges: dict[str, Judge], into: Path, correct: Correct = correct, poses: list[Pose] | None = None
) -> GroundTruth:
    """Render the film, correct it, and measure both.

    Args:
        judges: to be read, too, where dlib is installed; may be none.
        into: keeps the film.
        correct: the corrector.
        poses: another film than the usual one.

    Raises:
        Refused: the portrait is not installed.
        GazeError: the landmark engine does not start.
    """
    poses = poses or rendered_film.script()
    path = into / f"truth-{_key(poses)}.mp4"
    if not path.exists():
        rendered_film.film(path, poses)
    clip = clips.Clip.of(path, None)
    faces = _faces(clip, path) if judges else None
    found = list(judges.values()) if faces else []
    zero, told = calibration.calibrate(path), list[FrameResult]()
    seen = [_read(films, poses, found, faces) for films in (clip.frames(), correct(clip.frames(), zero, told.append))]
    settled = [at for at, pose in enumerate(poses) if pose.settled]
    chosen = [poses[at] for at in settled]
    before, after = _ruled(chosen, [one[0] for one in seen])
    judged = np.stack([one[1] for one in seen])
    return GroundTruth(chosen, [told[at] for at in settled], zero, before, after, judged)


def _key(poses: list[Pose]) -> str:
    sources = [Path(str(module.__file__)).read_bytes() for module in (rendered_film, rendered_face, depth_map)]
    return hashlib.sha256(b"".join(sources) + repr(poses).encode()).hexdigest()[:8]


def _faces(clip: clips.Clip, path: Path) -> list[Face | None] | None:
    try:
        return measurements.find_faces(clip.frames(), path.with_suffix(".npz"))
    except JudgeMissing as missing:
        print(f"The judges do not see the rendered film: {missing}.")
        return None


def _read(
    frames: Iterable[Planes], poses: list[Pose], judges: list[Judge], faces: list[Face | None] | None
) -> tuple[Numbers, Numbers]:
    """Return, over the settled frames, each eye's iris, (n, 2, 2), and each judge's gaze, (judges, n, 2)."""
    face_of, rims, gazes = rendered_face.RenderedFace(), [], []
    for at, (frame, pose) in enumerate(zip(frames, poses, strict=True)):
        if not pose.settled:
            continue
        corners = face_of.corners(pose.head_deg, pose.framing(at))
        rims.append([centre(frame.y, np.asarray(pair, np.float64)) for pair in corners])
        face = faces[at] if faces else None
        if face is None or at % JUDGED_EVERY:
            gazes.append([(np.nan, np.nan)] * len(judges))
        else:
            picture = bgr(frame)
            gazes.append([judge.gaze_deg(picture, face) for judge in judges])
    return np.array(rims), np.array(gazes).reshape(len(rims), len(judges), 2).transpose(1, 0, 2)


def _settings(poses: list[Pose]) -> dict[Setting, NDArray[np.bool_]]:
    own = [Setting(pose.head_deg, pose.wide_px) for pose in poses]
    return {setting: np.array([one == setting for one in own]) for setting in dict.fromkeys(own)}


def _ruled(poses: list[Pose], rims: list[Numbers]) -> list[Numbers]:
    """Read the irises of both films through rulers fitted to the first; the mean of both eyes, (n, 2) each."""
    true = np.array([pose.gaze_deg for pose in poses])
    read = [np.zeros((2, len(poses), 2)) for _ in rims]
    for here in _settings(poses).values():
        order = _order(len({pose.gaze_deg for pose, good in zip(poses, here, strict=True) if good}))
        for side in (0, 1):
            ruler = np.linalg.lstsq(_terms(rims[0][here, side], order), true[here], rcond=None)[0]
            for film, rim in zip(read, rims, strict=True):
                film[side, here] = _terms(rim[here, side], order) @ ruler
    return [np.asarray(film.mean(axis=0), np.float64) for film in read]


def _order(poses: int) -> int:
    return 3 if poses >= MANY else 2 if poses >= SOME else 1


def _terms(rim: Numbers, order: int) -> Numbers:
    x, y = rim[:, 0], rim[:, 1]
    terms = [x**right * y**down for right in range(order + 1) for down in range(order + 1 - right)]
    return np.stack(terms, axis=1)
