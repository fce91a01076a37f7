"""Command line of the gaze stage: one span of a video becomes a platform master with corrected gaze."""

import argparse
import sys
from pathlib import Path

from media.process import child
from media.process.memory_profile import MemoryProfile


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    command = argparse.ArgumentParser(prog="python -m media.gaze", description=__doc__)
    command.add_argument("source", type=Path, metavar="IN", help="a video file")
    command.add_argument("target", type=Path, metavar="OUT", help="MP4 file to write, atomically")
    command.add_argument("--intensity", type=_share, default=0.8, help="strength of the correction, 0 to 1 (0.8)")
    command.add_argument(
        "--faces",
        type=_count,
        default=1,
        metavar="N",
        help="number of people to correct, 1 to 4, the most prominent first (1)",
    )
    command.add_argument("--span", metavar="JSON", help="part of the video, as written by the plan (the whole video)")
    command.add_argument(
        "--zero", metavar="JSON", help="the speaker's calibration, as written by the plan (measured in the video)"
    )
    command.add_argument(
        "--landscape",
        choices=("none", "crop", "blur"),
        default="none",
        help="make a landscape video vertical: crop to the speaker, or whole over a blurred background (none)",
    )
    command.add_argument("--report", type=Path, metavar="FILE", help="write the results of each frame, as JSON")
    command.add_argument("--curve", type=Path, metavar="FILE", help="write the gaze over time, as JSON for a page")
    command.add_argument("--preview", type=Path, metavar="FILE", help="write a before/after picture, as JPEG")
    command.add_argument("--small-cover", type=Path, metavar="FILE", help="write a small copy of the cover, as JPEG")
    command.add_argument(
        "--small-preview", type=Path, metavar="FILE", help="write a small copy of the preview, as JPEG"
    )
    command.add_argument("--cover", type=Path, metavar="FILE", help="write a cover image, as JPEG")
    command.add_argument("--title", default="", help="text on the cover")
    command.add_argument("--label", default="", help="short text above the title on the cover, such as 2/4")
    command.add_argument(
        "--deadline",
        type=float,
        metavar="SECONDS",
        help="time limit; to keep it, fewer frames are measured, then the picture is smaller, then none is corrected",
    )
    command.add_argument(
        "--memory",
        choices=list(MemoryProfile),
        default=MemoryProfile.FULL,
        help="less: at most 720 x 1280 pixels; least: one encoder thread, too (full)",
    )
    command.add_argument(
        "--model", type=Path, metavar="FILE", help="face landmark model to use instead of the installed one"
    )
    command.add_argument(
        "--engine",
        choices=("direct", "mediapipe"),
        default="direct",
        help="run MediaPipe's networks directly, or in MediaPipe's graph for twice the time and memory (direct)",
    )
    return command


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 4:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 4")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(
        child.run_stage(
            parser(),
            "media.stages.gaze:correct",
            reads=["source", "model"],
            writes=["target", "report", "curve", "preview", "cover", "small_cover", "small_preview"],
        )
    )
