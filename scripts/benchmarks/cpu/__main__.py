"""Measure the CPU time of a second of video, by way of rendering, and compute what an hour costs on Fly.io.

Each way is a process of its own on one core; the ways take turns, and medians of the rounds are shown. "As filmed" is
without correction. A minute of video is a part: the start of its process counts once, the work as often as the clip
fits into it. Examining a video finds pauses, scenes and the speaker's look into the lens. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from media.reading.inspection import inspect
from scripts.benchmarks.cpu import machines
from scripts.benchmarks.render.process_run import Run, ffmpeg, measured

EXAMINE, EXAMINED_S = "examining", 180  # the clip is repeated: there is a beginning that does not grow with the video
# Name, module, options. The names of full HD are those of the README's table.
WAYS = (
    ("corrected", "media.gaze", ("--intensity=0.8",)),
    ("every third frame measured", "scripts.benchmarks.cpu.every_third", ("--intensity=0.8",)),
    ("smaller", "media.gaze", ("--intensity=0.8", "--memory=less")),
    ("as filmed", "media.gaze", ("--intensity=0",)),
    ("as filmed, smaller", "media.gaze", ("--intensity=0", "--memory=less")),
)
IN_HOURS = ("corrected", "smaller", "as filmed")  # of the second table


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench cpu", description=__doc__)
    parser.add_argument("--clip", type=Path, metavar="FILE", help="a recording in full HD (the sample clip)")
    parser.add_argument("--seconds", type=float, default=20, help="of the clip, from its beginning (20)")
    parser.add_argument("--rounds", type=int, default=3, help="of all ways in turn (3)")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    with tempfile.TemporaryDirectory(prefix="bench-cpu-") as name:
        clips = sources(options.clip, options.seconds, Path(name))
        costs = {size: way_costs(source, options.rounds, Path(name)) for size, source in clips.items()}
    print(f"{_processor()}, one core, load {os.getloadavg()[0]:.1f}\n")
    print("\n".join(_table(costs)))
    full_hd = costs[next(iter(costs))]
    print()
    print("\n".join(machines.table({name: round(full_hd[name] + full_hd[EXAMINE], 2) for name in IN_HOURS})))


def sources(clip: Path | None, seconds: float, folder: Path) -> dict[str, Path]:
    """Make the sources, by size: the clip in full HD, and in 720 x 1280."""
    large, small = folder / "large.mp4", folder / "small.mp4"
    if clip is None:
        measured([sys.executable, "-m", "media.sample", str(large), f"--seconds={seconds}", "--width=1080", "--json"])
    else:
        ffmpeg("-i", clip, "-t", str(seconds), "-c", "copy", large)
    ffmpeg("-i", large, "-vf", "scale=trunc(iw/3)*2:trunc(ih/3)*2", "-crf", "18", "-c:a", "copy", small)
    return {"full HD": large, "720p": small}


def way_costs(source: Path, rounds: int, folder: Path) -> dict[str, float]:
    """Return CPU seconds a second of video, by way of rendering and for the examination."""
    found = inspect(source)
    seconds = found.facts.duration_s
    spent: dict[str, list[float]] = defaultdict(list)
    whole = folder / "whole.mp4"
    ffmpeg("-stream_loop", "-1", "-i", source, "-t", str(EXAMINED_S), "-c", "copy", whole)
    for _ in range(rounds):
        plan = measured([sys.executable, "-m", "media.plan", str(whole), "--intensity=0.8", "--json"])
        spent[EXAMINE].append(plan.cpu_s / EXAMINED_S)
        fixed = [f"--span={json.dumps(found.timeline.grid().to_json())}", f"--zero={json.dumps(plan.said['zero'])}"]
        for name, module, chosen in WAYS:
            run = _run(module, source, folder / "part.mp4", [*fixed, *chosen])
            spent[name].append(run.a_minute_s(seconds) / 60)
    return {name: statistics.median(values) for name, values in spent.items()}


def _run(module: str, source: Path, target: Path, options: Sequence[str]) -> Run:
    beside = [f"--{kind}={target.with_suffix(f'.{kind}')}" for kind in ("report", "preview", "cover")]
    return measured([sys.executable, "-m", module, str(source), str(target), *beside, *options, "--json"])


def _table(costs: dict[str, dict[str, float]]) -> Iterator[str]:
    yield f"| CPU seconds a second of video | {' | '.join(costs)} |"
    yield f"|---|{'---:|' * len(costs)}"
    for name in (EXAMINE, *(name for name, _, _ in WAYS)):
        yield f"| {name} | {' | '.join(f'{cost[name]:.2f}' for cost in costs.values())} |"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


if __name__ == "__main__":
    main()
