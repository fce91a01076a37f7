"""One part from file to file: decode, correct and encode in one pass, then report and before/after picture.

The stage's work inside the child process; what it is made of lives next door.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from media.errors import Refused
from media.gaze import calibration, chart
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
from media.gaze.time_budget import TimeBudget
from media.process import memory
from media.process.files import atomic_write
from media.process.memory_profile import MemoryProfile
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


def correct(options: argparse.Namespace, progress: Progress) -> Facts:
    """Do what the command line says and return the part's facts.

    Raises:
        Refused: the source cannot be played, or the span or the zero is none.
    """
    span = _span(options)
    if options.intensity <= 0:
        return _uncorrected(options, span, Reason.TURNED_OFF, progress)
    try:
        model_path = model.locate(options.model)
        head = model.average_head(model_path)
        finder = _engine(options.engine, model_path, options.faces)
    except GazeError as error:
        # The creator still gets the part; the reason travels with it, and this line tells the operator what to mend.
        logger.error("gaze correction is not possible: {}", error)
        return _uncorrected(options, span, Reason.DETECTOR_FAILED, progress)
    with finder:
        return _corrected(options, span, finder, head, progress)


def _engine(name: str, model_path: Path, faces: int) -> Landmarker | MediaPipeLandmarker:
    engine = MediaPipeLandmarker if name == "mediapipe" else Landmarker
    return engine(model_path=model_path, faces=faces)


def _corrected(
    options: argparse.Namespace,
    span: Span,
    finder: Landmarker | MediaPipeLandmarker,
    head: model.Head,
    progress: Progress,
) -> Facts:
    began = time.monotonic()
    zero = _zero(options)
    report = Report(options.intensity)
    preview = Preview(span.frames)
    stage = Corrector(
        finder,
        head,
        intensity=options.intensity,
        zero=zero.gaze_deg if zero else (0.0, 0.0),
        policy=Policy(dead_zone_deg=zero.dead_zone_deg) if zero else Policy(),
        usual_opening=zero.usual_opening if zero else None,
        budget=TimeBudget(
            options.deadline and max(1.0, options.deadline - (time.monotonic() - began)),
            span.frames,
            memory_bytes=memory.limit_bytes(),
        ),
        on_result=report.add,
        observer=preview if options.preview else None,
    )
    rendered = _render(options, span, stage, progress)
    finder.close()  # what comes now needs memory, and no faces any more
    summary, timing = report.summary(stage.timing), stage.timing
    steps = {f"gaze_{name}": getattr(timing, name) for name in ("landmarks", "decision", "redraw")}
    if options.report:
        _write_json(options.report, report.to_json(stage.timing, zero.to_json() if zero else None))
    if options.preview:
        preview.write(
            options.preview, caption(summary), chart.draw(report.of_main_speaker(), SHEET_PX, report.corrected_from)
        )
    if report.is_untouched and rendered.landscape is None and stream_copy.obstacle(options.source, span) is None:
        rendered = _render(options, span, None, lambda _: None)  # no need for a copy of a copy
    return _facts(rendered, summary, steps)


def _uncorrected(options: argparse.Namespace, span: Span, reason: Reason, progress: Progress) -> Facts:
    rendered = _render(options, span, None, progress)
    summary = Report(options.intensity).nothing(reason)
    if options.report:
        _write_json(options.report, {"gaze": summary, "zero": None, "frames": []})
    return _facts(rendered, summary, {})


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
        cover.write(options.cover, options.title)
    return rendered


def _span(options: argparse.Namespace) -> Span:
    if options.span is None:
        return inspect(options.source).timeline.grid()
    return _read(Span.from_json, options.span, "span")


def _zero(options: argparse.Namespace) -> Calibration | None:
    """Take the given zero; else look for it in the whole video. JSON null says that it was looked for in vain."""
    if options.zero is None:
        return calibration.calibrate(options.source)
    return _read(lambda fields: Calibration.from_json(fields) if fields is not None else None, options.zero, "zero")


def _read(build: Callable[[Any], _T], text: str, name: str) -> _T:  # Any: JSON
    try:
        return build(json.loads(text))
    except (ValueError, KeyError, TypeError) as exc:
        raise Refused(f"bad_{name}", f"--{name} does not hold what the plan gives: {exc}") from exc


def caption(summary: Facts) -> str:
    """Say in a line for people what was done."""
    if not summary["corrected"]:
        return f"not corrected: {summary['reason'].replace('_', ' ')}"
    before, after = (summary[f"median_{moment}_deg"] for moment in ("before", "after"))
    words = [f"{summary['share']:.0%} of the frames corrected"]
    if before is not None:  # of the main speaker; it may have been another one's eyes that were moved
        words.append(f"{before:.0f}° off the lens before" + ("" if after is None else f", {after:.0f}° after"))
    return ", ".join(words)


def _facts(rendered: Rendered, summary: Facts, steps: dict[str, float]) -> Facts:
    told = ("picture", "encoded_because", "sound", "frames_held", "landscape")
    rendering = {name: getattr(rendered, name) for name in told}
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
