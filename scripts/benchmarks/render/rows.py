"""The rows of rendering in the table of all benchmarks: the project's sample in full HD, on one core."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from media.reading.inspection import Inspection, inspect
from scripts.benchmarks.render import __main__ as command
from scripts.benchmarks.render.process_run import Run, measured
from scripts.benchmarks.render.quality import vmaf
from scripts.benchmarks.summary.row import Goal, Line, Row

__all__ = ["rows"]

SECONDS = 6.0
FILMED, TURNED, MOVIEPY = "ours, as filmed", "ours, eyes turned", "MoviePy, eyes turned"


def rows(folder: Path) -> Iterator[Line]:
    """Compare CPU time, memory and quality to those of other programs with the same encoder settings."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    source = folder / "source.mp4"
    measured([sys.executable, "-m", "media.sample", str(source), "--width", "1080", f"--seconds={SECONDS}", "--json"])
    found = inspect(source)
    plan = measured([sys.executable, "-m", "media.plan", str(source), "--intensity", "0.8", "--json"])
    options = argparse.Namespace(no_moviepy=False)
    runs = {name: measured(line) for name, line in command.commands(source, folder, found, plan, options)}
    yield from _costs(runs, plan, found.facts.duration_s)
    yield from _qualities(folder, source, found)


def _costs(runs: Mapping[str, Run], plan: Run, seconds: float) -> Iterator[Row]:
    minute_s = {name: run.a_minute_s(seconds) for name, run in runs.items()}
    cpu = "CPU for a minute of full HD"
    beside = {command.PLAIN: "PyAV, only transcoded", "ffmpeg": "ffmpeg, only transcoded"}
    for name, baseline in beside.items():
        goal = Goal(1.3, of="ratio") if name == command.PLAIN else None
        yield Row(f"{cpu}, as filmed", minute_s[FILMED], "s", baseline, minute_s[name], goal=goal)
        yield Row(f"{cpu}, eyes turned", minute_s[TURNED], "s", baseline, minute_s[name], goal=goal)
    baseline = "the same corrector in MoviePy"
    yield Row(f"{cpu}, eyes turned", minute_s[TURNED], "s", baseline, minute_s[MOVIEPY])
    memory = "memory that cannot be dropped, full HD, eyes turned"
    alone = f"{baseline}, without its two ffmpeg processes"
    yield Row(memory, runs[TURNED].peak_own_mib, "MiB", alone, runs[MOVIEPY].peak_own_mib)
    whole_s = minute_s[TURNED] + plan.a_minute_s(seconds)
    yield Row("a minute of full HD examined, corrected and rendered on one core: CPU", whole_s, "s", goal=Goal(120.0))


def _qualities(folder: Path, source: Path, found: Inspection) -> Iterator[Row]:
    own, other = (vmaf(command.output_path(folder, name), source, found) for name in (FILMED, command.PLAIN))
    yield Row("VMAF of a part as filmed against its source", own, "", "PyAV, only transcoded", other, better="more")
