"""The figures of the table, each defined here; for one clip, from the measurements of "nothing" and of a candidate.

A frame's *error* is the length of its gaze (yaw, pitch) by the judges' common opinion, the mean of the networks that
are there: 0 is the lens.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.gaze.appearance import Appearance
from scripts.benchmarks.gaze.faces import Numbers
from scripts.benchmarks.gaze.measurements import Measurements

CORRECTABLE_DEG, HEAD_DEG = (4.0, 22.0), 22.0
CLOSE_DEG = 5.0
LENS_DEG = 4.0  # "into the lens" by the judges, whose bias for a person is as large
FAR_DEG = 30.0
INTO_LENS_DEG = 7.5  # median gaze of a clip that looks into the lens, the judges' bias included
BLINK, BLINK_FRAMES = 0.6, 15  # of the usual opening; longer closures are no blinks
LEAP = 0.04  # of the eye's width
# Lids that never come below this share are lowered, not shut: a reader's lower lines take them to .55 to .6.
SHUT = 0.4
OPENED = 0.25  # of the usual opening
FEWEST = 5  # frames for a median to mean something


@dataclass(frozen=True)
class Columns:
    """The figures of one candidate on one clip; NaN if the clip has no such frames."""

    frames: float  # judged frames that are correctable: error 4 to 22° in "nothing", head within 22°
    before: float  # median error of those frames in "nothing"
    after: float  # the same frames under the candidate
    sideways: float  # median |yaw| of them under the candidate
    within: float  # share of them with error up to 5°
    spread: float  # median distance of their gaze from its own median over them
    sharpness: float  # median over them of iris edge strength, candidate over "nothing", the better-seen eye's mean
    light: float  # median over them of the catch-light's height over the iris, candidate over "nothing"
    blinks: float  # in "nothing": opening below .6 of the clip's median for at most 15 frames, and below .4 in one
    opened: float  # of these, how many stay at least .25 of the usual opening wider open at their lowest
    lids: float  # Pearson correlation of the mean eye aspect ratio over all frames, candidate with "nothing"
    flow: float  # % of the eye's width: mean movement on a ring around each eye against the source, minus "nothing"'s
    jitter: float  # frame-to-frame steps of the iris (MediaPipe's point against its corners), candidate over "nothing":
    # each 1.48 × the median length over frames with open eyes, so that saccades do not count
    shiver: float  # the same of the second difference: what is left of a steady glide
    jitter_rim: float  # as jitter, by the iris' rim in the picture instead of MediaPipe's points
    shiver_rim: float  # as shiver, likewise
    leaps: float  # of 1000 steps between frames with open eyes, in how many the iris' rim goes .04 of the eye's width
    # (5.6°) further than in "nothing": eyes that snap to the lens or back
    lens_frames: float  # judged frames within 4° of the lens in "nothing", head within 22°
    lens_moved: float  # median way of their gaze by the common opinion; encoding alone moves it by 0.3 to 0.8°
    far_frames: float  # judged frames with gaze or head beyond 30° in "nothing"
    far_moved: float  # median way of their gaze
    far_db: float  # median PSNR within the eyes' boxes of them against "nothing"
    moved: float  # median way of the gaze over all frames with open eyes
    outside_db: float  # median PSNR outside the eyes' boxes against "nothing": codec only
    step: float  # greatest change of the applied strength between neighbouring frames with open eyes
    ring: float  # 90th percentile over open eyes: how much steeper brightness rises across the limbus than in "nothing"
    wholeness: float  # 10th percentile over open eyes: likeness of pupil and lights to those of "nothing"
    slivers: float  # mean over frames with open eyes: area of new bright spots beside the corners, both eyes


def common(marks: Measurements, networks: list[int]) -> Numbers:
    """Return the judges' common opinion, (frames, 2)."""
    opinion: Numbers = marks.gaze_deg[networks].mean(axis=0)
    return opinion


def compare(
    nothing: Measurements,
    candidate: Measurements,
    networks: list[int],
    appearance: Appearance | None = None,
    applied: Numbers | None = None,
) -> Columns:
    """Compute every column for one clip.

    Args:
        nothing: of the uncorrected film.
        candidate: of the film in question.
        networks: which judges are networks.
        appearance: faults of the film in question; without, these columns are NaN.
        applied: the strength that a corrector applied in each frame, (frames,); without, `step` is NaN.
    """
    before, after = common(nothing, networks), common(candidate, networks)
    error, head = _length(before), np.abs(nothing.head_deg).max(axis=1)
    open_ = _open(nothing)
    chosen = open_ & _between(error, *CORRECTABLE_DEG) & (head <= HEAD_DEG) & ~np.isnan(_length(after))
    near = open_ & (error <= LENS_DEG) & (head <= HEAD_DEG)
    far = (error > FAR_DEG) | (~np.isnan(error) & (head > FAR_DEG))
    moved = _length(after - before)
    blinks, opened = _blinks(nothing, candidate)
    return Columns(
        frames=float(chosen.sum()),
        before=_median(error[chosen]),
        after=_median(_length(after)[chosen]),
        sideways=_median(np.abs(after[chosen, 0])),
        within=_share(_length(after)[chosen] <= CLOSE_DEG),
        spread=_median(_length(after[chosen] - _middle_gaze(after[chosen]))),
        sharpness=_median(_ratio(candidate.sharpness, nothing.sharpness)[chosen]),
        light=_median(_ratio(candidate.light, nothing.light)[chosen]),
        blinks=float(blinks),
        opened=float(opened),
        lids=_correlation(nothing.opening.mean(axis=1), candidate.opening.mean(axis=1)),
        flow=100 * (_median(candidate.flow[chosen]) - _median(nothing.flow[chosen])),
        jitter=_unrest(candidate.iris, open_, 1) / _unrest(nothing.iris, open_, 1),
        shiver=_unrest(candidate.iris, open_, 2) / _unrest(nothing.iris, open_, 2),
        jitter_rim=_unrest(candidate.rim, open_, 1) / _unrest(nothing.rim, open_, 1),
        shiver_rim=_unrest(candidate.rim, open_, 2) / _unrest(nothing.rim, open_, 2),
        leaps=_leaps(nothing.rim, candidate.rim, open_),
        lens_frames=float(near.sum()),
        lens_moved=_median(moved[near]),
        far_frames=float(far.sum()),
        far_moved=_median(moved[far]),
        far_db=_median(candidate.inside_db[far]),
        moved=_median(moved[open_]),
        outside_db=_median(candidate.outside_db),
        step=np.nan if applied is None else _step(applied, open_),
        ring=np.nan if appearance is None else _percentile(appearance.ring[open_], 90),
        wholeness=np.nan if appearance is None else _percentile(appearance.wholeness[open_], 10),
        slivers=np.nan if appearance is None else _mean(appearance.slivers[open_].sum(axis=1)),
    )


def applied(report: dict[str, Any], frames: int) -> Numbers | None:  # Any: the corrector's own JSON
    """Return the strength that was applied to the main speaker in each frame of a report; None without one."""
    if "columns" not in report:
        return None
    index, strength = (report["columns"].index(name) for name in ("index", "applied"))
    rows = {row[index]: row[strength] for row in reversed(report["frames"])}  # the main speaker is the frame's first
    first = min(rows, default=0)
    return np.array([rows.get(first + at, np.nan) for at in range(frames)])


def looks_into_lens(nothing: Measurements, networks: list[int]) -> bool:
    """Return whether a clip's gaze rests in the lens by the networks, whose bias for a person is as large."""
    chosen = _open(nothing) & (np.abs(nothing.head_deg).max(axis=1) <= HEAD_DEG)
    return float(_length(_middle_gaze(common(nothing, networks)[chosen]))) <= INTO_LENS_DEG


def alone(
    nothing: Measurements, candidate: Measurements, networks: list[int], judge: int
) -> tuple[float, float, float]:
    """Return one judge's median error before and after, and the median way, over the frames chosen by the networks."""
    error, head = _length(common(nothing, networks)), np.abs(nothing.head_deg).max(axis=1)
    chosen = _open(nothing) & _between(error, *CORRECTABLE_DEG) & (head <= HEAD_DEG)
    before, after = nothing.gaze_deg[judge, chosen], candidate.gaze_deg[judge, chosen]
    return _median(_length(before)), _median(_length(after)), _median(_length(after - before))


def view(nothing: Measurements, candidate: Measurements, judge: int) -> tuple[float, float]:
    """Return the median gaze that one judge sees while the eyes are open and the head within 22°."""
    chosen = _open(nothing) & (np.abs(nothing.head_deg).max(axis=1) <= HEAD_DEG)
    yaw, pitch = _middle_gaze(candidate.gaze_deg[judge, chosen])
    return float(yaw), float(pitch)


def total(clips: list[Columns]) -> Columns:
    """Join clips: counts are added, everything else is the median over the clips that have it."""
    counts = {"frames", "blinks", "opened", "lens_frames", "far_frames"}
    values = {field.name: np.array([getattr(clip, field.name) for clip in clips]) for field in fields(Columns)}
    return Columns(**{
        name: float(np.nansum(value)) if name in counts else _middle(value) for name, value in values.items()
    })  # fmt: skip


def _middle(values: Numbers) -> float:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else np.nan


def _middle_gaze(gazes: Numbers) -> Numbers:
    return np.array([_median(gazes[:, 0]), _median(gazes[:, 1])])


def _open(marks: Measurements) -> NDArray[np.bool_]:
    opening = marks.opening.min(axis=1)
    if np.isnan(opening).all():
        return np.zeros(len(opening), np.bool_)
    return np.asarray(opening >= BLINK * np.nanmedian(opening), np.bool_)


def _blinks(nothing: Measurements, candidate: Measurements) -> tuple[int, int]:
    lids, theirs = nothing.opening.min(axis=1), candidate.opening.min(axis=1)
    if np.isnan(lids).all():
        return 0, 0
    usual = float(np.nanmedian(lids))
    shut = np.flatnonzero(np.diff(np.concatenate([[0], lids < BLINK * usual, [0]]).astype(int)))
    runs = [
        (int(first), int(end))
        for first, end in shut.reshape(-1, 2)
        if end - first <= BLINK_FRAMES and float(np.nanmin(lids[first:end])) < SHUT * usual
    ]
    opened = sum(
        float(np.nanmin(theirs[first:end], initial=np.inf) - np.nanmin(lids[first:end])) >= OPENED * usual
        for first, end in runs
    )
    return len(runs), opened


def _unrest(places: Numbers, open_: NDArray[np.bool_], order: int) -> float:
    """Return 1.48 × the median length of the n-th difference over frames whose neighbours have open eyes, too."""
    steps = np.diff(places.mean(axis=1), n=order, axis=0)
    good = np.lib.stride_tricks.sliding_window_view(open_, order + 1).all(axis=1)
    lengths = _length(steps)[good]
    return 1.4826 * _median(lengths)


def _leaps(nothing: Numbers, candidate: Numbers, open_: NDArray[np.bool_]) -> float:
    before, after = (_length(np.diff(places.mean(axis=1), axis=0)) for places in (nothing, candidate))
    good = open_[1:] & open_[:-1] & ~np.isnan(before) & ~np.isnan(after)
    return 1000 * _share((after - before)[good] > LEAP)


def _step(applied: Numbers, open_: NDArray[np.bool_]) -> float:
    steps = np.abs(np.diff(applied))[open_[1:] & open_[:-1]]
    steps = steps[~np.isnan(steps)]
    return float(steps.max()) if len(steps) else np.nan


def _percentile(values: Numbers, share: float) -> float:
    values = values[~np.isnan(values)]
    return float(np.percentile(values, share)) if len(values) >= FEWEST else np.nan


def _mean(values: Numbers) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) >= FEWEST else np.nan


def _ratio(candidate: Numbers, nothing: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        eyes = candidate / nothing
    seen = np.isfinite(eyes)
    count = seen.sum(axis=1)
    return np.where(count > 0, np.where(seen, eyes, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _between(values: Numbers, low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((values >= low) & (values <= high), np.bool_)


def _length(ways: Numbers) -> Numbers:
    return np.asarray(np.hypot(ways[..., 0], ways[..., 1]), np.float64)


def _median(values: Numbers) -> float:
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) >= FEWEST else np.nan


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) >= FEWEST else np.nan


def _correlation(first: Numbers, second: Numbers) -> float:
    both = ~np.isnan(first) & ~np.isnan(second)
    return float(np.corrcoef(first[both], second[both])[0, 1]) if both.sum() >= FEWEST else np.nan
