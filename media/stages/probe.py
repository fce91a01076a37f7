"""The stage `probe`: reports the facts about an upload, or refuses it."""

import argparse
from typing import Any

from media.process.output import Progress
from media.reading.inspection import inspect


def probe(options: argparse.Namespace, progress: Progress) -> dict[str, Any]:  # Any: JSON
    """Do the work of `python -m media.probe`.

    Raises:
        Refused: see `media.reading.inspection.inspect`.
    """
    result = inspect(options.source).facts.to_json()
    progress(1.0)
    return result
