"""What is left of a known gaze after correction, by geometry; and how right the corrector's own measure is.

The ruler is the iris' rim in the picture: on the uncorrected film, whose truth is known, its place is fitted to angles;
through the same fit the corrected film is read. Neither networks nor MediaPipe take part in that.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scripts.benchmarks.eyes import marks, rendered, runs
from scripts.benchmarks.eyes.faces import Numbers
from scripts.benchmarks.eyes.judges import Judge

DIRECTIONS = ("right", "right up", "up", "left up", "left", "left down", "down", "right down")
MEASURED, APPLIED = slice(2, 4), 6  # columns of the corrector's report


@dataclass(frozen=True)
class Truth:
    """The rendered film, read; arrays over its settled frames."""

    true_deg: Numbers  # (n, 2)
    measured_deg: Numbers  # (n, 2) by the corrector, its zero added again; NaN where it says nothing
    applied: Numbers  # (n,) share of the way that the corrector says it took back
    left_deg: Numbers  # (n, 2) after correction, through the ruler
    ruler_deg: Numbers  # (n, 2) before correction, through the ruler: its own error
    judged_deg: Numbers  # (2, judges, n, 2) before and after
    zero_deg: Numbers  # (2,) what the corrector took for the lens


def find(
    judges: dict[str, Judge], into: Path, correct: Callable[[runs.Clip, float, Path], runs.Run] = runs.correct
) -> Truth:
    """Render, correct wholly, and read both films.

    Raises:
        Refused: the portrait is not installed.
        JudgeMissing: dlib is not.
    """
    film = into / "truth.mp4"
    poses = rendered.script() if film.exists() else rendered.film(film)
    clip = replace(runs.Clip.of(film, None))
    before = runs.correct(clip, 0, into / "truth.nothing.mp4")
    after = correct(clip, 1, into / "truth.ours.mp4")
    faces = marks.find_faces(before.frames(), into / "truth.faces.npz")
    settled = [at for at, pose in enumerate(poses) if pose.settled]
    marker = marks.Marker(judges, faces, 3)
    seen = [marker.measure(runs.side_by_side(clip.frames(), before.frames(), run.frames())) for run in (before, after)]
    true = np.array([(poses[at].yaw_deg, poses[at].pitch_deg) for at in settled])
    ruler = [_fit(seen[0].rim[settled, side], true) for side in (0, 1)]
    read = [np.mean([_read(ruler[side], one.rim[settled, side]) for side in (0, 1)], axis=0) for one in seen]
    rows = [[np.nan if cell is None else cell for cell in after.report["frames"][at][:7]] for at in settled]
    table = np.array(rows, np.float64)
    zero = after.report["zero"] or {"yaw_deg": 0.0, "pitch_deg": 0.0}
    at_zero = np.array([zero["yaw_deg"], zero["pitch_deg"]])
    judged = np.stack([one.gaze_deg[:, settled] for one in seen])
    return Truth(true, table[:, MEASURED] + at_zero, table[:, APPLIED], read[1], read[0], judged, at_zero)


def _terms(rim: Numbers) -> Numbers:
    x, y = rim[:, 0], rim[:, 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y, x**3, y**3], axis=1)


def _fit(rim: Numbers, true: Numbers) -> Numbers:
    good = ~np.isnan(rim).any(axis=1)
    return np.asarray(np.linalg.lstsq(_terms(rim[good]), true[good], rcond=None)[0], np.float64)


def _read(ruler: Numbers, rim: Numbers) -> Numbers:
    found: Numbers = _terms(rim) @ ruler
    return found


def tell(truth: Truth, names: list[str]) -> None:
    """Print what was found."""
    true, size = truth.true_deg, np.hypot(*truth.true_deg.T)
    print("\nRendered film, known gaze; medians over settled frames, degrees")
    print(f"the ruler's own error {_middle(_far(truth.ruler_deg - true)):.1f}; zero taken: {truth.zero_deg}")
    print(f"{'off':>5}" + "".join(f"{name:>12}" for name in DIRECTIONS) + f"{'all':>12}   left (share corrected)")
    for step in rendered.DEGREES:
        cells = []
        for way in range(len(DIRECTIONS) + 1):
            here = np.abs(size - step) < 0.1
            if way < len(DIRECTIONS):
                x, y = rendered.DIRECTIONS[way]
                here &= np.abs(true @ (x, y) - step) < 0.1
            cells.append(
                f"{_middle(_far(truth.left_deg[here])):6.1f} ({_middle(truth.applied[here]):.2f})"[:12].rjust(12)
            )
        print(f"{step:5.0f}" + "".join(cells))
    here = size < 0.1
    print(f"eyes in the lens move by {_middle(_far(truth.left_deg[here] - truth.ruler_deg[here])):.1f}")
    _tell_measure(truth)
    _tell_judges(truth, names)


def _tell_measure(truth: Truth) -> None:
    print("\nThe corrector's own measure against that truth: bias and mean absolute error")
    for axis, name in ((0, "yaw"), (1, "pitch")):
        for value in sorted(set(np.round(truth.true_deg[:, axis], 1))):
            here = np.abs(truth.true_deg[:, axis] - value) < 0.1
            error = truth.measured_deg[here, axis] - value
            print(f"{name:5} {value:6.1f}: {np.nanmean(error):+5.1f}, {np.nanmean(np.abs(error)):4.1f}")
        error = truth.measured_deg[:, axis] - truth.true_deg[:, axis]
        print(f"{name:5}    all: {np.nanmean(error):+5.1f}, {np.nanmean(np.abs(error)):4.1f}")


def _tell_judges(truth: Truth, names: list[str]) -> None:
    print("\nThe judges on it: degrees seen per true degree (yaw, pitch), bias in the lens; of our way, the share seen")
    for number, name in enumerate(names):
        before, after = truth.judged_deg[:, number]
        good = ~np.isnan(before[:, 0])
        true, way = truth.true_deg[good], truth.ruler_deg[good] - truth.left_deg[good]
        seen = [_slope(true[:, axis], before[good, axis]) for axis in (0, 1)]
        moved = [_slope(way[:, axis], (before - after)[good, axis]) for axis in (0, 1)]
        bias = np.median(before[good][np.hypot(*true.T) < 0.1], axis=0)
        print(f"{name:14} {seen[0]:.2f}, {seen[1]:.2f}; {bias[0]:+.1f}, {bias[1]:+.1f}; {moved[0]:.2f}, {moved[1]:.2f}")


def _slope(x: Numbers, y: Numbers) -> float:
    return float(np.polyfit(x, y, 1)[0])


def _far(ways: Numbers) -> Numbers:
    return np.asarray(np.hypot(ways[:, 0], ways[:, 1]), np.float64)


def _middle(values: Numbers) -> float:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else np.nan
