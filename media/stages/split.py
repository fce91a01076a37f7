"""The stage `split`: renders all parts of a video, without gaze correction."""

import argparse
from dataclasses import asdict
from typing import Any

from media.process.output import Progress
from media.reframing.following import choose_framing
from media.reframing.framing import Layout
from media.stages.plan import Part, inspect_and_partition
from media.writing.render import render

PLANNED = 0.05  # share of the progress before the first part


def split(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:  # Any: JSON
    """Do the work of `python -m media.split`.

    Raises:
        Refused: see `media.reading.inspection.inspect`.
    """
    facts, parts = inspect_and_partition(options, lambda share: progress(PLANNED * share), copies=True)
    return {"facts": facts.to_json(), "parts": [_render_part(options, part, progress) for part in parts]}


def _render_part(options: argparse.Namespace, part: Part, progress: Progress) -> dict[str, Any]:  # Any: JSON
    span, target = part.span, options.folder / f"part-{part.number:03d}.mp4"
    rendered = render(
        options.source,
        target,
        span=span,
        framed=choose_framing(Layout(options.landscape), options.source, span),
        on_progress=lambda share: progress(PLANNED + (1 - PLANNED) * (span.first + span.frames * share) / span.total),
    )
    return part.to_json() | asdict(rendered) | {"path": str(target)}
