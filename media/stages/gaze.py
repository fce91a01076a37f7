"""The gaze stage: one span of a video from file to file, decoded, corrected and encoded in one pass.

Runs inside the child process that `python -m media.gaze` starts. Writes the part, and on request the per-frame report,
the before/after picture and the cover.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from media.errors import Refused
from media.gaze import calibration, chart, curve
from media.gaze.calibration import Calibration
from media.gaze.corrector import Corrector
from media.gaze.errors import GazeError
from media.gaze.face import model
from media.gaze.face.landmarks import Landmarker
from media.gaze.face.mediapipe_graph import MediaPipeLandmarker
from media.gaze.policy import Policy
from media.gaze.preview import SHEET_PX, Preview
from media.gaze.reasons import Reason
from media.gaze.report import Report
from media.gaze.time_budget import SmallerPictureFaster, TimeBudget, TimeStep
from media.process import memory
from media.process.files import atomic_write
from media.process.memory_profile import LIMITS, MemoryProfile
from media.reading.inspection import inspect
from media.reading.spans import Span
from media.reframing.following import choose_framing
from media.reframing.framing import Layout
from media.writing import stream_copy
from media.writing.cover import Cover
from media.writing.render import Rendered, render

Progress = Callable[[float], None]
Facts = dict[str, Any]  # Any: JSON
_T = TypeVar("_T")

# CPU time of a part in at most 720 x 1280 pixels, as a share of that in full HD (measured 2026-11-29: 0.77 and 0.84).
# Of larger and smaller videos this promises too much: if need be, correction still stops.
SMALLER_COST = 0.8


@dataclass
class _Pace:
    """The speed of the work on one part, and what was done to end it in time."""

    began_s: float = field(default_factory=time.monotonic)
    cpu_began_s: float = field(default_factory=time.process_time)
    steps: list[TimeStep] = field(default_factory=list)

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.began_s

    def to_json(self, deadline_s: float | None) -> Facts:
        """Return the fields for the status document; `core_share` is the share of one core that this process got."""
        took_s = self.elapsed_s
        core_share = (time.process_time() - self.cpu_began_s) / max(took_s, 1e-3)
        facts = {"took_s": round(took_s, 1), "core_share": round(core_share, 3), "deadline_s": deadline_s}
        return facts | {"steps": [step.value for step in self.steps]}


def correct(options: argparse.Namespace, progress: Progress) -> Facts:
    """Correct one part as the command line says; return the facts for the status document.

    A part whose landmark engine does not start is rendered uncorrected, with the reason in the facts. A part that
    would miss its deadline is begun anew with a smaller picture if that saves enough time.

    Raises:
        Refused: the source cannot be played, or `--span` or `--zero` is not what the plan writes.
    """
    pace = _Pace()
    try:
        return _correct(options, pace, progress)
    except SmallerPictureFaster:
        pace.steps.append(TimeStep.SMALLER_PICTURE)
        smaller = argparse.Namespace(**vars(options) | {"memory": MemoryProfile.LESS})
        return _correct(smaller, pace, progress)


def _correct(options: argparse.Namespace, pace: _Pace, progress: Progress) -> Facts:
    span = _span(options)
    if options.intensity <= 0:
        return _uncorrected(options, span, Reason.TURNED_OFF, pace, progress)
    try:
        model_path = model.locate(options.model)
        head = model.average_head(model_path)
        finder = _finder(options.engine, model_path, options.faces)
    except GazeError as error:
        # The creator still gets the part, and its status names the reason. This line is for the operator.
        logger.error("Gaze correction is not possible: {}", error)
        return _uncorrected(options, span, Reason.DETECTOR_FAILED, pace, progress)
    with finder:
        return _corrected(options, span, finder, head, pace, progress)


def _finder(engine: str, model_path: Path, faces: int) -> Landmarker | MediaPipeLandmarker:
    kind = MediaPipeLandmarker if engine == "mediapipe" else Landmarker
    return kind(model_path=model_path, faces=faces)


def _corrected(
    options: argparse.Namespace,
    span: Span,
    finder: Landmarker | MediaPipeLandmarker,
    head: model.Head,
    pace: _Pace,
    progress: Progress,
) -> Facts:
    found = _calibration(options)
    report, preview = Report(options.intensity), Preview(span.frames)
    stage = Corrector(
        finder,
        head,
        intensity=options.intensity,
        zero=found.zero_deg if found else (0.0, 0.0),
        policy=Policy(dead_zone_deg=found.dead_zone_deg) if found else Policy(),
        usual_opening=found.usual_opening if found else None,
        usual=found.usual if found else None,
        budget=_budget(options, span, pace.elapsed_s),
        on_result=report.add,
        observer=preview if options.preview else None,
    )
    rendered = _render(options, span, stage, progress)
    pace.steps += stage.budget.steps
    finder.close()  # frees memory for the pictures that are drawn now
    summary = report.summary(stage.timing)
    if options.report:
        _write_json(options.report, report.to_json(stage.timing, found.to_json() if found else None))
    if options.curve:
        _write_json(options.curve, curve.of_rows(report.of_main_speaker(), span.rate, report.corrected_from))
    if options.preview:
        gaze_chart = chart.draw(report.of_main_speaker(), SHEET_PX, report.corrected_from)
        preview.write(options.preview, caption(summary), gaze_chart, options.small_preview)
    if report.is_untouched and rendered.landscape is None and stream_copy.obstacle(options.source, span) is None:
        rendered = _render(options, span, None, lambda _: None)  # nothing was changed: copy the stream instead
    steps = ("landmarks", "decision", "redraw")
    spent = {f"gaze_{name}": getattr(stage.timing, name) for name in steps}
    return _facts(rendered, summary, pace.to_json(options.deadline), spent)


def _budget(options: argparse.Namespace, span: Span, elapsed_s: float) -> TimeBudget:
    deadline_s = options.deadline and max(1.0, options.deadline - elapsed_s)
    return TimeBudget(
        deadline_s,
        span.frames,
        memory_bytes=memory.limit_bytes(),
        has_smaller_settings=options.memory == MemoryProfile.FULL,
        smaller_cost=SMALLER_COST if options.memory == MemoryProfile.FULL and _can_be_smaller(span) else None,
    )


def _can_be_smaller(span: Span) -> bool:
    limits = LIMITS[MemoryProfile.LESS]
    return span.shape is not None and (max(span.shape) > limits.long_side or min(span.shape) > limits.short_side)


def _uncorrected(options: argparse.Namespace, span: Span, reason: Reason, pace: _Pace, progress: Progress) -> Facts:
    rendered = _render(options, span, None, progress)
    summary = Report(options.intensity).nothing(reason)
    if options.report:
        _write_json(options.report, {"gaze": summary, "zero": None, "frames": []})
    return _facts(rendered, summary, pace.to_json(options.deadline), {})


def _render(options: argparse.Namespace, span: Span, stage: Corrector | None, progress: Progress) -> Rendered:
    cover = Cover(span.frames)
    rendered = render(
        options.source,
        options.target,
        span=span,
        stage=stage,
        framed=choose_framing(Layout(options.landscape), options.source, span),
        memory=MemoryProfile(options.memory),
        on_frame=cover.consider if options.cover else None,
        on_progress=progress,
    )
    if options.cover:
        cover.write(options.cover, options.title, options.label, options.small_cover)
    return rendered


def _span(options: argparse.Namespace) -> Span:
    if options.span is None:
        return inspect(options.source).timeline.grid()
    return _read(Span.from_json, options.span, "span")


def _calibration(options: argparse.Namespace) -> Calibration | None:
    """Read the plan's calibration, or calibrate on the whole video; JSON null says that the plan found none."""
    if options.zero is None:
        return calibration.calibrate(options.source)
    return _read(lambda fields: Calibration.from_json(fields) if fields is not None else None, options.zero, "zero")


def _read(build: Callable[[Any], _T], text: str, name: str) -> _T:  # Any: JSON
    try:
        return build(json.loads(text))
    except (ValueError, KeyError, TypeError) as exc:
        raise Refused(f"bad_{name}", f"--{name} is not what the plan writes: {exc}") from exc


def caption(summary: Facts) -> str:
    """Summarize the correction in one line for people."""
    if not summary["corrected"]:
        return f"not corrected: {summary['reason'].replace('_', ' ')}"
    before, after = (summary[f"median_{moment}_deg"] for moment in ("before", "after"))
    words = [f"{summary['share']:.0%} of the frames corrected"]
    if before is not None:  # None when only other people than the main speaker were corrected
        words.append(f"{before:.0f}° off the lens before" + ("" if after is None else f", {after:.0f}° after"))
    return ", ".join(words)


def _facts(rendered: Rendered, summary: Facts, pace: Facts, steps: dict[str, float]) -> Facts:
    names = ("picture", "encoded_because", "sound", "frames_held", "landscape", "memory_steps")
    rendering = {name: getattr(rendered, name) for name in names} | {"pace": pace}
    return {
        "frames": rendered.frames,
        "duration_s": rendered.duration_s,
        "size_bytes": rendered.size_bytes,
        "width": rendered.width,
        "height": rendered.height,
        "sha256": rendered.sha256,
        "gaze": summary,
        "rendering": rendering,
        "stages_s": {**rendered.stages_s, **{name: round(seconds, 3) for name, seconds in steps.items()}},
    }


def _write_json(path: Path, content: Facts) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
