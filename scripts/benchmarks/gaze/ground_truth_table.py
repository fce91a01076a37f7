"""Prints the figures of the rendered film; computes only medians."""

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.gaze import rendered_film
from scripts.benchmarks.gaze.faces import Numbers
from scripts.benchmarks.gaze.ground_truth import GroundTruth

DIRECTIONS = ("right", "right up", "up", "left up", "left", "left down", "down", "right down")
FRONTAL = "straight ahead"

Choice = NDArray[np.bool_]


def print_report(truth: GroundTruth, judges: list[str]) -> None:
    """Print all tables."""
    zero = truth.zero
    taken = f"{zero.yaw_deg:+.1f}, {zero.pitch_deg:+.1f} ({zero.source})" if zero else "none"
    print(f"\nRendered film, known gaze; medians over settled frames, degrees. Zero taken for the lens: {taken}")
    print(f"The ruler's own error: {_middle(_far(truth.ruler_deg - truth.true_deg)):.1f}")
    _print_left(truth)
    _print_measure(truth)
    if judges and not np.isnan(truth.judged_deg).all():
        _print_judges(truth, judges)


def _print_left(truth: GroundTruth) -> None:
    frontal = _frontal(truth)
    print("\nLeft after correction with gain 1 (and the share that the corrector chose to take back)")
    print(f"{'off':>6}" + "".join(f"{name:>13}" for name in DIRECTIONS))
    for step in rendered_film.DEGREES:
        cells = [_left(truth, frontal & _at(truth, step * x, step * y)) for x, y in rendered_film.DIRECTIONS]
        print(f"{step:6.0f}" + "".join(f"{cell:>13}" for cell in cells))
    for setting, here in truth.settings().items():
        in_lens, off = _in_lens(truth), ~_in_lens(truth)
        moved = _middle(_far(truth.left_deg - truth.ruler_deg)[here & in_lens])
        missed = _middle(_far(truth.missed_deg[here & off]))
        print(
            f"{setting.name:16} off the lens: left {_left(truth, here & off)}, of which {missed:.1f} by the redrawing;"
            f" in the lens: moved by {moved:.1f}"
        )


def _print_measure(truth: GroundTruth) -> None:
    error = truth.measured_deg - truth.true_deg
    print("\nThe corrector's measure of gaze: mean error of yaw and pitch (± mean absolute error without it)")
    for axis, name in ((0, "yaw"), (1, "pitch")):
        alone = _frontal(truth) & (np.abs(truth.true_deg[:, 1 - axis]) < 0.1)
        for value in sorted({round(float(v), 1) for v in truth.true_deg[alone, axis]}):
            mean = np.nanmean(error[alone & (np.abs(truth.true_deg[:, axis] - value) < 0.1)], axis=0)
            print(f"  {name} of {value:+5.1f}: {mean[0]:+5.1f}, {mean[1]:+5.1f}")
    for setting, here in truth.settings().items():
        slopes = [_slope(truth.true_deg[here, axis], truth.measured_deg[here, axis]) for axis in (0, 1)]
        head = np.nanmedian(truth.head_error_deg[here], axis=0)
        print(
            f"  {setting.name:16} {_error(error[here])}; a degree is seen as {slopes[0]:.2f}, {slopes[1]:.2f};"
            f" head off by {head[0]:+.1f}, {head[1]:+.1f}"
        )


def _print_judges(truth: GroundTruth, names: list[str]) -> None:
    print(
        "\nThe judges on it, straight ahead: mean error of yaw and pitch ± mean absolute error without it; a degree of"
    )
    print("gaze is seen as; a degree by which the corrector moved the iris is seen as")
    for number, name in enumerate(names):
        before, after = truth.judged_deg[:, number]
        good = ~np.isnan(before[:, 0]) & _frontal(truth)
        true, way = truth.true_deg[good], (truth.ruler_deg - truth.left_deg)[good]
        seen = [_slope(true[:, axis], before[good, axis]) for axis in (0, 1)]
        moved = [_slope(way[:, axis], (before - after)[good, axis]) for axis in (0, 1)]
        print(
            f"  {name:14} {_error(before[good] - true)}; {seen[0]:.2f}, {seen[1]:.2f}; {moved[0]:.2f}, {moved[1]:.2f}"
        )


def _left(truth: GroundTruth, here: Choice) -> str:
    return f"{_middle(_far(truth.left_deg[here])):.1f} ({_middle(truth.applied[here]):.2f})"


def _error(errors: Numbers) -> str:
    mean = np.nanmean(errors, axis=0)
    spread = np.nanmean(np.abs(errors - mean), axis=0)
    return f"{mean[0]:+5.1f} ± {spread[0]:.1f}, {mean[1]:+5.1f} ± {spread[1]:.1f}"


def _frontal(truth: GroundTruth) -> Choice:
    return next(here for setting, here in truth.settings().items() if setting.name == FRONTAL)


def _at(truth: GroundTruth, yaw: float, pitch: float) -> Choice:
    return np.asarray(_far(truth.true_deg - (yaw, pitch)) < 0.1, np.bool_)


def _in_lens(truth: GroundTruth) -> Choice:
    return _at(truth, 0, 0)


def _slope(x: Numbers, y: Numbers) -> float:
    good = ~np.isnan(x) & ~np.isnan(y)
    return float(np.polyfit(x[good], y[good], 1)[0]) if good.sum() > 2 else np.nan


def _far(ways: Numbers) -> Numbers:
    return np.asarray(np.hypot(ways[..., 0], ways[..., 1]), np.float64)


def _middle(values: Numbers) -> float:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else np.nan
