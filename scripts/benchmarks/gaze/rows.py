"""The rows of the gaze correction in the table of all benchmarks: a short film of a rendered face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from media.frames import Planes
from media.gaze.calibration import Calibration
from media.gaze.reasons import Reason
from media.gaze.report import FrameResult
from scripts.benchmarks.gaze import ground_truth, iris_shift, rendered_film
from scripts.benchmarks.gaze.ground_truth import GroundTruth
from scripts.benchmarks.gaze.rendered_film import Pose
from scripts.benchmarks.summary.row import Line, Row

__all__ = ["rows"]

OFF_DEG = 15.0
HELD, EDGE = 14, 5  # frames of each pose; of it, those that filters may mix with the next one


def rows(folder: Path) -> Iterator[Line]:
    """Compare what is left of a known gaze after correction to no correction and to a simple one."""
    film = poses()
    ours = ground_truth.find({}, folder, poses=film)
    simple = ground_truth.find({}, folder, _shift_irises, film)
    off, in_lens = (np.array([any(pose.gaze_deg) is wanted for pose in ours.poses]) for wanted in (True, False))
    left, moved = f"rendered face, {OFF_DEG:.0f}° off the lens: gaze left", "rendered face, in the lens: gaze moved by"
    uncorrected, baseline = _median_deg(ours.ruler_deg[off]), "iris cut out and moved"
    yield Row(left, _median_deg(ours.left_deg[off]), "°", "as filmed", uncorrected)
    yield Row(left, _median_deg(ours.left_deg[off]), "°", baseline, _median_deg(simple.left_deg[off]))
    yield Row(moved, _moved_deg(ours, in_lens), "°", baseline, _moved_deg(simple, in_lens))


def poses() -> list[Pose]:
    """Return a film that looks into the lens between looks in all directions."""
    held = [Pose((0.0, 0.0))] * 3
    for x, y in rendered_film.DIRECTIONS:
        held += [Pose((OFF_DEG * x, OFF_DEG * y)), Pose((0.0, 0.0))]
    return [Pose(pose.gaze_deg, settled=EDGE <= at < HELD - EDGE) for pose in held for at in range(HELD)]


def _shift_irises(
    frames: Iterable[Planes], _: Calibration | None, told: Callable[[FrameResult], None]
) -> Iterator[Planes]:
    for frame in iris_shift.move(iter(frames)):
        told(FrameResult.without_face(frame, Reason.NO_FACE))  # it decides nothing that could be told
        yield frame


def _moved_deg(truth: GroundTruth, here: np.typing.NDArray[np.bool_]) -> float:
    return _median_deg((truth.left_deg - truth.ruler_deg)[here])


def _median_deg(ways: np.typing.NDArray[np.float64]) -> float:
    return float(np.nanmedian(np.hypot(ways[:, 0], ways[:, 1])))
