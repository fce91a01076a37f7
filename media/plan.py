"""The door to `python -m media.plan IN`: where will this video be cut, and where does its speaker look?"""

import argparse
import sys
from pathlib import Path

from media.process import child

LOUDNESS = (-31, -9)  # LUFS
SEGMENT_SECONDS, SEGMENT_SECONDS_MIN = 60.0, 6.0  # the minimum is two parts of the platforms' 3 s


def segment_seconds(text: str) -> float:
    """Read the longest part's length; ValueError below 6 s."""
    value = float(text)
    if not SEGMENT_SECONDS_MIN <= value <= 24 * 3600:
        raise argparse.ArgumentTypeError(f"at least {SEGMENT_SECONDS_MIN:g} seconds")
    return value


def loudness(text: str) -> float:
    """Read a level; ValueError outside of what platforms and broadcasters want."""
    value = float(text)
    if not LOUDNESS[0] <= value <= LOUDNESS[1]:
        raise argparse.ArgumentTypeError(f"from {LOUDNESS[0]} to {LOUDNESS[1]} LUFS")
    return value


def add_cutting(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how a video is cut, and how loud its parts are."""
    parser.add_argument("source", type=Path, metavar="IN", help="the upload")
    parser.add_argument("--segment-seconds", type=segment_seconds, default=SEGMENT_SECONDS, help="longest part (60)")
    parser.add_argument("--exact", action="store_true", help="cut at the limit, not at pauses")
    parser.add_argument(
        "--loudness", type=loudness, metavar="LUFS", help="bring the sound to a level, such as -14 (as it is)"
    )


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m media.plan", description="Plan where a video is cut.")
    add_cutting(parser)
    parser.add_argument("--intensity", type=float, default=0.0, help="above 0: also look for the speaker's zero")
    parser.add_argument("--without-zero", action="store_true", help="save memory: do not search for the speaker's zero")
    parser.add_argument("--without-scenes", action="store_true", help="save memory: do not search for scene changes")
    return parser


if __name__ == "__main__":
    sys.exit(child.run_stage(arguments(), "media.stages.plan:plan"))
