"""Renders the whole plan of a video without gaze correction."""

import argparse
from dataclasses import asdict
from typing import Any

from media.process.output import Progress
from media.reading.facts import MediaWarning
from media.reading.inspection import inspect
from media.reframing.following import choose_framing
from media.reframing.framing import Layout
from media.stages.plan import partition, with_warnings
from media.writing.render import render

HEARD = 0.05  # share of the progress for everything before the first part


def split(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:  # Any: JSON
    """Do the work of `python -m media.split`."""
    found = inspect(options.source)
    warnings: list[MediaWarning] = []
    parts = partition(
        options.source,
        found,
        options.segment_seconds,
        loudness=options.loudness,
        exact=options.exact,
        progress=lambda share: progress(HEARD * share),
        copies=True,
        warn=warnings.append,
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    written = []
    for part in parts:
        before = part.span.first / part.span.total
        share_of_all = part.span.frames / part.span.total

        def tell(share: float, before: float = before, of_all: float = share_of_all) -> None:
            progress(HEARD + (1 - HEARD) * (before + of_all * share))

        target = options.folder / f"part-{part.number:03d}.mp4"
        framed = choose_framing(Layout(options.landscape), options.source, part.span)
        rendered = render(options.source, target, span=part.span, framed=framed, on_progress=tell)
        written.append(part.to_json() | asdict(rendered) | {"path": str(target)})
    return {"facts": with_warnings(found.facts, warnings).to_json(), "parts": written}
