"""The short table: groups of clips, those that look aside judged by what is left, those into the lens by what moved."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scripts.benchmarks.gaze.columns import Columns

MUST = (
    "must: error <= 5.0, within >= .60, spread <= 2.5, sharp .8 to 1.3, opened 0, jitter and shiver <= 1.1, "
    "most <= 1.0, step <= .12"
)
HEAD = (
    *("clips", "before", "error", "median", "within", "spread", "sharp", "opened", "jitter", "shiver"),
    *("in lens", "moved", "most", "step", "ring", "whole", "slivers"),
)


@dataclass(frozen=True)
class Judged:
    """One clip of one candidate."""

    name: str
    into_lens: bool
    row: Columns


def line(clips: list[Judged]) -> list[float]:
    """Return the figures of a group in the order of HEAD.

    Of clips that look aside: their number, mean error before, mean and median over the clips of the error after, means
    of the columns. Of clips that look into the lens: their number, median and greatest way by which the gaze was moved.
    Of all: the greatest step, ring and slivers, the least wholeness.
    """
    aside = [clip.row for clip in clips if not clip.into_lens]
    lens = [clip.row for clip in clips if clip.into_lens]
    every = [clip.row for clip in clips]
    return [
        *(len(aside), _over(aside, "before", np.mean), _over(aside, "after", np.mean)),
        _over(aside, "after", np.median),
        *(_over(aside, name, np.mean) for name in ("within", "spread", "sharpness")),
        _over(every, "opened", np.sum),
        *(_over(aside, name, np.mean) for name in ("jitter", "shiver")),
        *(len(lens), _over(lens, "moved", np.median), _over(lens, "moved", np.max)),
        *(_over(every, "step", np.max), _over(every, "ring", np.max)),
        *(_over(every, "wholeness", np.min), _over(every, "slivers", np.max)),
    ]


def _over(rows: list[Columns], name: str, join: Callable[[list[float]], float]) -> float:
    known = [value for value in (getattr(row, name) for row in rows) if not np.isnan(value)]
    return float(join(known)) if known else np.nan


def _text(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def table(groups: dict[str, list[Judged]]) -> list[str]:
    """Return the lines of the table: each clip, then each group."""
    everything = {clip.name: clip for clips in groups.values() for clip in clips}
    width = max(len(name) for name in (*groups, *everything)) + 2
    lines = [" " * width + "".join(f"{name:>9}" for name in HEAD)]
    for name, clips in ({name: [clip] for name, clip in everything.items()} | groups).items():
        lines.append(f"{name:{width}}" + "".join(f"{_text(value):>9}" for value in line(clips)))
    aside, lens = ([c.name for c in everything.values() if c.into_lens is way] for way in (False, True))
    return [*lines, f"looking aside: {', '.join(aside) or 'none'}", f"into the lens: {', '.join(lens) or 'none'}", MUST]
