"""The quality of an encoded clip against its source: VMAF."""

import re
from pathlib import Path

from media.reading.inspection import Inspection, inspect
from scripts.benchmarks.render.process_run import ffmpeg


def vmaf(copy: Path, source: Path, found: Inspection) -> float:
    """Return the mean VMAF of a copy against its source, frame by frame; the source in the copy's size."""
    span = found.timeline.grid()
    even = f"setpts=N/({span.rate})/TB"
    written, wanted = _size(copy), (found.facts.width, found.facts.height)
    fit = "" if written == wanted else f",scale={written[0]}:{written[1]}:flags=bicubic"
    on_grid = f"setpts=PTS-STARTPTS,fps={span.rate}," if span.hold else ""  # a clip cut off between its B-pictures
    judge = f"[0:v]{even}[copy];[1:v]{on_grid}{even}{fit}[source];[copy][source]libvmaf=n_threads=2"
    said = ffmpeg("-i", copy, "-i", source, "-lavfi", judge, "-f", "null", "-", loud=True)
    score = re.search(r"VMAF score: ([\d.]+)", said)
    assert score, said[-2000:]
    return float(score[1])


def _size(path: Path) -> tuple[int, int]:
    facts = inspect(path).facts
    return facts.width, facts.height
