"""Measure the memory of rendering by kind of upload: one size, larger, longer, or with HDR.

The clip is the project's own sample, so that anybody can repeat it. "RSS" is all of the process, "own" what the kernel
cannot drop from it; the libraries' pages are the difference, and are there once for all processes.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from media.process.memory_profile import MemoryProfile
from media.writing.encode import x264_options
from scripts.benchmarks.render.process_run import ffmpeg, measured
from scripts.benchmarks.summary.row import Line, Row

HLG = "log-level=error:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"
BIG, H264, HEVC = "scale=2160:3840", ["-c:v", "libx264", "-preset"], ["-c:v", "libx265", "-preset", "ultrafast"]
KINDS: dict[str, list[str]] = {
    "1080p": ["-c", "copy"],
    "1080p, a minute": ["-c", "copy"],
    "1080p HEVC HLG": ["-vf", "format=yuv420p10le", *HEVC, "-x265-params", HLG],
    "4K H.264": ["-vf", BIG, *H264, "superfast"],
    "4K H.264, 4 references": ["-vf", BIG, *H264, "superfast", "-bf", "3", "-refs", "4"],
    "4K HEVC": ["-vf", BIG, *HEVC, "-x265-params", "log-level=error"],
    "4K HEVC HLG": ["-vf", f"{BIG},format=yuv420p10le", *HEVC, "-x265-params", HLG],
}
LONG = "a minute"
SHORT_KINDS, SHORT_S = ("1080p HEVC HLG", "4K HEVC HLG"), 4.0  # for the table of all benchmarks


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each kind."""
    parser = argparse.ArgumentParser(prog="scripts/bench render_memory", description=__doc__)
    parser.add_argument("--only", default="", help="take the kinds whose name contains this")
    parser.add_argument("--clip", type=Path, help="a recording of your own instead of the sample's kinds")
    parser.add_argument("--memory", choices=list(MemoryProfile), default="full", help="the profile (full)")
    parser.add_argument("--seconds", type=float, default=6, help="of each clip but the long one (6)")
    options = parser.parse_args(arguments)
    print(f"{'':24}{'as filmed: RSS':>16}{'own':>6}{'CPU s':>7}{'eyes turned: RSS':>18}{'own':>6}{'CPU s':>7}   (MiB)")
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        folder = Path(name)
        for kind, path in _clips(folder, options):
            row = f"{kind:24}"
            for intensity, room in (("0", 16), ("0.8", 18)):
                beside = [f"--{other}={folder / other}" for other in ("report", "preview", "cover")]
                command = ["media.gaze", str(path), str(folder / "out.mp4"), "--intensity", intensity, "--zero=null"]
                command += ["--memory", options.memory]
                took = measured([sys.executable, "-m", *command, *beside, "--json"])
                row += f"{took.peak_rss_mib:{room}.0f}{took.peak_own_mib:6.0f}{took.cpu_s:7.1f}"
            print(row, flush=True)


def rows(folder: Path) -> Iterator[Line]:
    """Compare the memory to that of the ffmpeg program, which only scales to full HD and encodes."""
    encoding = [word for name, value in x264_options(Fraction(30)).items() for word in (f"-{name}", value)]
    for kind in SHORT_KINDS:
        [(_, path)] = _clips(folder, argparse.Namespace(clip=None, only=kind, seconds=SHORT_S))
        beside = [f"--{other}={folder / other}" for other in ("report", "preview", "cover")]
        command = ["media.gaze", str(path), str(folder / "out.mp4"), "--intensity", "0.8", "--zero=null", *beside]
        own = measured([sys.executable, "-m", *command, "--json"])
        options = ["-vf", "scale=1080:1920,format=yuv420p", "-c:v", "libx264", "-threads", "1", *encoding]
        reading = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-threads", "1", "-i", str(path)]
        other = measured([*reading, *options, "-c:a", "aac", str(folder / "plain.mp4")])
        what = f"rendering {kind} with gaze correction: memory that cannot be dropped"
        yield Row(what, own.peak_own_mib, "MiB", "ffmpeg, scaled only", other.peak_own_mib)


def _clips(folder: Path, options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    if options.clip is not None:
        yield options.clip.stem[:23], options.clip.resolve()
        return
    kinds = {name: form for name, form in KINDS.items() if options.only in name}
    longest_s = 60 if any(LONG in name for name in kinds) else options.seconds
    sample, path = folder / "sample.mp4", folder / "in.mp4"
    measured([sys.executable, "-m", "media.sample", str(sample), "--width", "1080", f"--seconds={longest_s}", "--json"])
    for name, form in kinds.items():
        seconds = 60 if LONG in name else options.seconds
        ffmpeg("-i", sample, "-t", str(seconds), *form, "-c:a", "copy", path)
        yield name, path


if __name__ == "__main__":
    main()
