"""The stage `plan`: the facts about an upload, its parts, and the calibration for its speaker."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from media.cutting import cuts, pauses, scenes
from media.cutting.loudness import gain_db
from media.cutting.material import CutMaterial, collect
from media.cutting.voice_activity import SAMPLE_RATE
from media.errors import Refused
from media.process.output import Progress
from media.reading.facts import Facts, MediaWarning
from media.reading.inspection import Inspection, inspect
from media.reading.spans import Span
from media.sound.peaks import PeakMeter, Peaks
from media.writing import stream_copy

INSPECTED, PARTITIONED = 0.1, 0.4  # shares of the progress after the inspection and after the partition


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
    """Do the work of `python -m media.plan`.

    Raises:
        Refused: see `media.reading.inspection.inspect`.
    """
    kept: list[CutMaterial] = []
    facts, parts = inspect_and_partition(
        options,
        lambda share: progress(PARTITIONED * share),
        copies=options.intensity == 0,
        find_scenes=not options.without_scenes,
        keep=kept.append,
    )
    calibration = None
    if options.intensity > 0 and not options.without_zero:
        progress(PARTITIONED)
        calibration = _calibration(options.source)
    progress(1.0)
    return {
        "facts": facts.to_json(),
        "spans": [part.to_json() for part in parts],
        "zero": calibration,
        "cutting": kept[0].to_json(),
    }


def inspect_and_partition(
    options: argparse.Namespace,
    progress: Progress,
    *,
    copies: bool,
    find_scenes: bool = True,
    keep: Callable[[CutMaterial], None] | None = None,
) -> tuple[Facts, list[Part]]:
    """Inspect an upload and partition it as the command line says; its facts contain the warnings of both steps.

    Args:
        options: of `media.plan` or `media.split`.
        progress: called with the share of both steps that is done.
        copies: see `partition`.
        find_scenes: see `partition`.
        keep: see `partition`.

    Raises:
        Refused: see `media.reading.inspection.inspect`.
    """
    inspected = INSPECTED / PARTITIONED
    found = inspect(options.source)
    progress(inspected)
    warnings: list[MediaWarning] = []
    parts = partition(
        options.source,
        found,
        options.segment_seconds,
        loudness=options.loudness,
        exact=options.exact,
        progress=lambda share: progress(inspected + (1 - inspected) * share),
        copies=copies,
        find_scenes=find_scenes,
        warn=warnings.append,
        keep=keep,
    )
    return replace(found.facts, warnings=(*found.facts.warnings, *warnings)), parts


def partition(
    path: Path,
    found: Inspection,
    max_part_s: float,
    *,
    exact: bool,
    progress: Progress,
    loudness: float | None = None,
    copies: bool = False,
    find_scenes: bool = True,
    warn: Callable[[MediaWarning], None] = lambda _: None,
    keep: Callable[[CutMaterial], None] | None = None,
) -> list[Part]:
    """Cut an inspected video into parts that together contain each of its frames once.

    Args:
        path: the upload.
        found: the upload's inspection.
        max_part_s: duration of the longest part, at least 6 s.
        exact: cut at the limit instead of at pauses and scene changes.
        progress: called with the share of the sound that was searched for pauses.
        loudness: LUFS to which the sound is raised or lowered; None leaves it unchanged.
        copies: the pictures will not be changed: prefer cuts at key frames, where parts can be stream-copied.
        find_scenes: also search for scene changes, which decodes pictures.
        warn: called with each warning about the cuts.
        keep: called with what is needed to move the cuts later; then the sound of a short video is searched, too.
    """
    whole = found.timeline.grid()
    if loudness is not None:
        whole = replace(whole, gain_db=gain_db(path, whole, loudness))
    silent: list[cuts.Pause] = []
    peaks = None
    needs_cuts = whole.duration_s > max_part_s
    if found.facts.audio is not None and not exact and (needs_cuts or keep is not None):
        silent, peaks = _search_sound(path, whole, progress, warn if needs_cuts else lambda _: None)
    if keep is not None:
        keep(collect(found.timeline, whole, silent, peaks))
    changes = scenes.SceneChanges(path, found.timeline).between if find_scenes else cuts.one_scene
    keys = found.timeline.key_ticks(whole) if copies and stream_copy.may_be_copied(path, whole) else ()
    chosen = cuts.choose(whole.total, whole.rate, max_part_s, silent, scenes=changes, keys=keys, exact=exact)
    return [
        Part(number, len(chosen), cut.reason, found.timeline.span(whole, cut.first, cut.frames))
        for number, cut in enumerate(chosen, start=1)
    ]


def _search_sound(
    path: Path, whole: Span, progress: Progress, warn: Callable[[MediaWarning], None]
) -> tuple[list[cuts.Pause], Peaks | None]:
    """Return the pauses and the peaks of a video's sound; none if it cannot be read."""
    meter = PeakMeter(SAMPLE_RATE)
    try:
        return pauses.find(path, whole, progress, meter.push), meter.peaks()
    except Refused as refused:  # the cuts will be at scene changes and at the limit
        is_mute = refused.code == MediaWarning.SOUND_UNREADABLE
        warn(MediaWarning.SOUND_UNREADABLE if is_mute else MediaWarning.PAUSES_NOT_FOUND)
    return [], None


def _calibration(path: Path) -> dict[str, Any] | None:  # Any: JSON, opaque here
    from media.gaze import calibration  # noqa: PLC0415  # loads the face detector, which a plan without gaze never needs

    found = calibration.calibrate(path)
    return None if found is None else found.to_json()
