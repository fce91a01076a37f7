"""The door of the gaze stage: one span of a video becomes a platform master with the eyes turned to the lens."""

import argparse
import sys
from pathlib import Path

from media.process import child
from media.process.memory_profile import MemoryProfile


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    command = argparse.ArgumentParser(prog="python -m media.gaze", description=__doc__)
    command.add_argument("source", type=Path, metavar="IN", help="a video file")
    command.add_argument("target", type=Path, metavar="OUT", help="the MP4 file to write, whole or not at all")
    command.add_argument(
        "--intensity", type=_share, default=0.8, help="0 leaves the eyes alone, 1 corrects wholly (0.8)"
    )
    command.add_argument(
        "--faces", type=_count, default=1, metavar="N", help="correct the N most prominent people, 1 to 4 (1)"
    )
    command.add_argument("--span", metavar="JSON", help="which part of the video, as the plan gave it (all of it)")
    command.add_argument("--zero", metavar="JSON", help="the speaker's zero, as the plan gave it (looked for)")
    command.add_argument(
        "--landscape",
        choices=("none", "crop", "blur"),
        default="none",
        help="make a landscape video vertical: crop follows the speaker, blur shows all of it (none)",
    )
    command.add_argument("--report", type=Path, metavar="FILE", help="write what was done in each frame, as JSON")
    command.add_argument("--preview", type=Path, metavar="FILE", help="write a before/after picture, as JPEG")
    command.add_argument("--cover", type=Path, metavar="FILE", help="write a cover image, as JPEG")
    command.add_argument("--title", default="", help="words on the cover")
    command.add_argument(
        "--deadline",
        type=float,
        metavar="SECONDS",
        help="look at fewer frames, then correct no more, rather than finish later",
    )
    command.add_argument(
        "--memory",
        choices=list(MemoryProfile),
        default=MemoryProfile.FULL,
        help="less: a picture of at most 720 x 1280; least: also no second encoder thread (full)",
    )
    command.add_argument("--model", type=Path, metavar="FILE", help="a face landmark model of your own")
    command.add_argument(
        "--engine",
        choices=("direct", "mediapipe"),
        default="direct",
        help="run MediaPipe's networks directly (direct), or in MediaPipe's own graph: twice the time and memory",
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
    sys.exit(child.run_stage(parser(), "media.stages.gaze:correct"))
