"""The judges' own error, measured on rendered pictures with known gaze."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from scripts.benchmarks.gaze import measurements, rendered_film
from scripts.benchmarks.gaze.faces import Numbers, bgr
from scripts.benchmarks.gaze.judges import Judge
from scripts.benchmarks.gaze.rendered_film import Pose

DEGREES = (8.0, 16.0)


@dataclass(frozen=True)
class JudgeBias:
    """The error of one judge; angles in degrees, yaw and pitch."""

    in_lens_deg: Numbers  # (2,) what it sees where the truth is 0, 0
    per_degree: Numbers  # (2,) how much of a true degree it sees
    error_deg: float  # mean length of what is left when its bias in the lens is taken off


def measure(judges: dict[str, Judge]) -> dict[str, JudgeBias]:
    """Measure every judge on the rendered face, with the head straight ahead.

    Raises:
        JudgeMissing: dlib, which says where the face is, is not installed.
        Refused: the portrait is not.
    """
    true = [(0.0, 0.0), *((step * x, step * y) for step in DEGREES for x, y in rendered_film.DIRECTIONS)]
    poses = [Pose(gaze) for gaze in true]
    frames = list(rendered_film.frames(poses))
    with TemporaryDirectory() as kept:
        faces = measurements.find_faces(iter(frames), Path(kept) / "faces.npz")
    seen = {name: np.full((len(true), 2), np.nan) for name in judges}
    for at, (frame, face) in enumerate(zip(frames, faces, strict=True)):
        picture = bgr(frame)
        for name, judge in judges.items():
            if face is not None:
                seen[name][at] = judge.gaze_deg(picture, face)
    return {name: own(np.array(true), gazes) for name, gazes in seen.items()}


def own(true: Numbers, seen: Numbers) -> JudgeBias:
    """Compare; the first truth is the lens.

    Args:
        true: (n, 2) degrees.
        seen: (n, 2) degrees, NaN where nothing is said.
    """
    good = ~np.isnan(seen).any(axis=1)
    slopes = np.array([np.polyfit(true[good, axis], seen[good, axis], 1)[0] for axis in (0, 1)])
    apart = (seen - seen[0] - true)[good]
    return JudgeBias(seen[0], slopes, float(np.hypot(apart[:, 0], apart[:, 1]).mean()))
