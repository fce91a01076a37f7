"""Measure the cost of rendering beside a plain transcode, the ffmpeg program and a MoviePy pipeline.

Every candidate is a process of its own on the same cores, one after the other, and encodes with the same x264
settings. CPU seconds are the kernel's count of the process and its children. "A minute" is the start once, and the
rest as if the clip lasted sixty seconds; "beside plain" is its ratio to the plain transcode by PyAV of the same clip.
With --runs the candidates take turns, and the ratio is the median of those to the plain transcode of the same turn, so
that other load on the machine counts for both.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import imageio_ffmpeg

from media.reading.inspection import Inspection, inspect
from media.reading.spans import Span
from media.writing.encode import x264_options
from scripts.benchmarks.render.process_run import Run, ffmpeg, measured
from scripts.benchmarks.render.quality import vmaf

PLAIN = "plain PyAV"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table a clip."""
    parser = argparse.ArgumentParser(prog="scripts/bench render", description=__doc__)
    parser.add_argument("--clips", type=Path, metavar="DIR", required=True, help="a folder of recordings")
    parser.add_argument("--only", default="", help="take the clips whose name contains this")
    parser.add_argument("--seconds", type=float, default=12, help="of each clip, from its beginning (12)")
    parser.add_argument("--cores", type=int, default=1, help="that every candidate may use (1)")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="turns of every candidate (1)")
    parser.add_argument("--no-moviepy", action="store_true", help="leave out the slowest candidate")
    parser.add_argument("--no-vmaf", action="store_true", help="leave out the quality, which takes longest")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    for clip in sorted(options.clips.glob("*.mp4")):
        if options.only in clip.name:
            with tempfile.TemporaryDirectory(prefix="bench-render-") as folder:
                _clip(clip, Path(folder), options)


def _clip(clip: Path, folder: Path, options: argparse.Namespace) -> None:
    source = folder / "source.mp4"
    ffmpeg("-i", clip, "-t", str(options.seconds), "-c", "copy", source)
    found = inspect(source)
    seconds = found.facts.duration_s
    print(
        f"\n{clip.name}: {found.facts.width}x{found.facts.height}, {float(found.facts.frame_rate):g} fps, "
        f"{seconds:.1f} s, {options.cores} core(s)"
    )
    print(
        f"{'':22}{'CPU s':>7}{'CPU s a minute':>16}{'beside plain':>14}{'of real time':>14}"
        f"{'RSS MiB':>9}{'own MiB':>9}{'Mbit/s':>8}{'VMAF':>7}"
    )
    plan = measured([sys.executable, "-m", "media.plan", str(source), "--intensity", "0.8", "--json"])
    turns = [
        {name: measured(command) for name, command in commands(source, folder, found, plan, options)}
        for _ in range(options.runs)
    ]
    runs = {
        name: sorted((turn[name] for turn in turns), key=lambda run: run.cpu_s)[len(turns) // 2] for name in turns[0]
    }
    for name, run in runs.items():
        ratio = median(turn[name].a_minute_s(seconds) / turn[PLAIN].a_minute_s(seconds) for turn in turns)
        output = output_path(folder, name)
        score = "" if options.no_vmaf or "turned" in name else f"{vmaf(output, source, found):7.2f}"
        print(
            f"{name:22}{run.cpu_s:7.2f}{run.a_minute_s(seconds):16.1f}{ratio:14.2f}"
            f"{run.wall_s / seconds:14.2f}{run.peak_rss_mib:9.0f}{run.peak_own_mib:9.0f}"
            f"{output.stat().st_size * 8 / seconds / 1e6:8.2f}{score}"
        )
    print(f"{'look for cuts, zero':22}{plan.cpu_s:7.2f}{'once a video':>16}{plan.peak_rss_mib:37.0f}", end="")
    print(f"{plan.peak_own_mib:9.0f}")
    _print_stages(runs)


def _print_stages(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        if stages := run.said.get("stages_s"):
            shown = ", ".join(f"{stage} {1e3 * value / run.said['frames']:.2f}" for stage, value in stages.items())
            start_s = run.cpu_s - run.said["work_s"]
            print(f"  {name}, CPU ms a frame by stage (gaze_ is part of stage): {shown}; start {start_s:.2f} s")


def commands(
    source: Path, folder: Path, found: Inspection, plan: Run, options: argparse.Namespace
) -> Iterator[tuple[str, list[str]]]:
    """Yield each candidate's name and command; all have the same settings of the encoder."""
    span, zero = json.dumps(found.timeline.grid().to_json()), json.dumps(plan.said["zero"])
    ours = [sys.executable, "-m", "media.gaze", str(source)]
    fixed = [f"--span={span}", f"--zero={zero}", "--json"]
    candidates = [sys.executable, "-m", "scripts.benchmarks.render.baselines"]
    yield PLAIN, [*candidates, "pyav", str(source), str(output_path(folder, PLAIN))]
    yield "ffmpeg", _ffmpeg_command(source, output_path(folder, "ffmpeg"), found.timeline.grid())
    for name, intensity in (("ours, as filmed", "0"), ("ours, eyes turned", "0.8")):
        target = output_path(folder, name)
        beside = [f"--{kind}={target.with_suffix(f'.{kind}')}" for kind in ("report", "preview", "cover")]
        yield name, [*ours, str(target), "--intensity", intensity, *beside, *fixed]
    if not options.no_moviepy:
        name = "MoviePy, eyes turned"
        yield name, [*candidates, "moviepy", str(source), str(output_path(folder, name)), zero]


def output_path(folder: Path, name: str) -> Path:
    """Return the path of a candidate's video."""
    return folder / f"{re.sub('[^a-z]+', '-', name.lower())}.mp4"


def _ffmpeg_command(source: Path, target: Path, span: Span) -> list[str]:
    options = [word for name, value in x264_options(span.rate).items() for word in (f"-{name}", value)]
    sound = ["-c:a", "aac", "-b:a", "128k", "-ar", "48000"]
    threads = ["-threads", "1"]
    shape = ["-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    reading = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *threads, "-i", str(source)]
    return [*reading, "-c:v", "libx264", *threads, *options, *shape, *sound, str(target)]


if __name__ == "__main__":
    main()
