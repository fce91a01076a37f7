"""Plans a video: what it is, where it is cut, how loud it is, and where this speaker's zero lies."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from media.cutting import cuts, pauses, scenes
from media.cutting.loudness import gain_db
from media.errors import Refused
from media.process.output import Progress
from media.reading.facts import Facts, MediaWarning
from media.reading.inspection import Inspection, inspect
from media.reading.spans import Span
from media.writing import stream_copy

INSPECTED, HEARD = 0.1, 0.4  # shares of the progress: after the inspection, after the sound


@dataclass(frozen=True, slots=True)
class Part:
    """One planned part."""

    number: int  # from 1
    of: int
    cut_reason: str
    span: Span

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the part as plain values."""
        return {
            "number": self.number,
            "of": self.of,
            "start_s": round(self.span.start_s, 6),
            "duration_s": round(self.span.duration_s, 6),
            "frames": self.span.frames,
            "cut_reason": self.cut_reason,
            "span": self.span.to_json(),
        }


def plan(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:  # Any: JSON
    """Do the work of `python -m media.plan`."""
    found = inspect(options.source)
    progress(INSPECTED)
    warnings: list[MediaWarning] = []
    parts = partition(
        options.source,
        found,
        options.segment_seconds,
        loudness=options.loudness,
        exact=options.exact,
        progress=lambda share: progress(INSPECTED + (HEARD - INSPECTED) * share),
        copies=options.intensity == 0,
        find_scenes=not options.without_scenes,
        warn=warnings.append,
    )
    calibration = None
    if options.intensity > 0 and not options.without_zero:
        progress(HEARD)
        calibration = _zero(options.source)
    progress(1.0)
    return {
        "facts": with_warnings(found.facts, warnings).to_json(),
        "spans": [part.to_json() for part in parts],
        "zero": calibration,
    }


def with_warnings(facts: Facts, more: list[MediaWarning]) -> Facts:
    """Return facts with more warnings."""
    return replace(facts, warnings=(*facts.warnings, *more))


def partition(
    path: Path,
    found: Inspection,
    segment_s: float,
    *,
    exact: bool,
    progress: Progress,
    loudness: float | None = None,
    copies: bool = False,
    find_scenes: bool = True,
    warn: Callable[[MediaWarning], None] = lambda _: None,
) -> list[Part]:
    """Cut an inspected video into parts that together are all of it, each frame once.

    Args:
        path: the upload.
        found: what `inspect` said about it.
        segment_s: the longest part, at least 6 s.
        exact: cut at the limit instead of at pauses and changes of scene.
        progress: told the share of the sound that was heard.
        loudness: LUFS that the sound is to be brought to; None leaves it as it is.
        copies: nothing is to be changed in the pictures: prefer cuts at which they need not be encoded anew.
        find_scenes: also search for scene changes, which decodes pictures.
        warn: called with each warning about the cuts.
    """
    whole = found.timeline.grid()
    if loudness is not None:
        whole = replace(whole, gain_db=gain_db(path, whole, loudness))
    silent: list[cuts.Pause] = []
    if found.facts.audio is not None and not exact and whole.duration_s > segment_s:
        try:
            silent = pauses.find(path, whole, progress)
        except Refused as refused:  # the cuts are at scene changes and the limit
            is_mute = refused.code == MediaWarning.SOUND_UNREADABLE
            warn(MediaWarning.SOUND_UNREADABLE if is_mute else MediaWarning.PAUSES_NOT_FOUND)
    changes = scenes.Changes(path, found.timeline).between if find_scenes else _no_scenes
    keys = found.timeline.key_ticks(whole) if copies and stream_copy.may_be_copied(path, whole) else ()
    chosen = cuts.choose(whole.total, whole.rate, segment_s, silent, scenes=changes, keys=keys, exact=exact)
    return [
        Part(number, len(chosen), cut.reason, found.timeline.span(whole, cut.first, cut.frames))
        for number, cut in enumerate(chosen, start=1)
    ]


def _no_scenes(first: int, last: int) -> list[int]:
    del first, last
    return []


def _zero(path: Path) -> dict[str, Any] | None:  # Any: JSON, opaque to us
    from media.gaze import calibration  # noqa: PLC0415  # loads the landmark model's library, which a plain split never needs

    found = calibration.calibrate(path)
    return None if found is None else found.to_json()
