"""The command `python -m media.plan IN`: plans the parts of a video and its speaker's calibration."""

import argparse
import sys
from pathlib import Path

from media.process import child

LOUDNESS = (-31, -9)  # LUFS
SEGMENT_SECONDS, SEGMENT_SECONDS_MIN = 60.0, 6.0  # the minimum is two parts of the platforms' 3 s


def segment_seconds(text: str) -> float:
    """Parse the duration of the longest part in seconds, at least 6."""
    value = float(text)
    if not SEGMENT_SECONDS_MIN <= value <= 24 * 3600:
        raise argparse.ArgumentTypeError(f"at least {SEGMENT_SECONDS_MIN:g} seconds")
    return value


def loudness(text: str) -> float:
    """Parse a loudness in LUFS, in the range that platforms and broadcasters use."""
    value = float(text)
    if not LOUDNESS[0] <= value <= LOUDNESS[1]:
        raise argparse.ArgumentTypeError(f"from {LOUDNESS[0]} to {LOUDNESS[1]} LUFS")
    return value


def add_cutting_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the cuts and the loudness of the parts."""
    parser.add_argument("source", type=Path, metavar="IN", help="the upload")
    parser.add_argument(
        "--segment-seconds", type=segment_seconds, default=SEGMENT_SECONDS, help="maximum duration of a part (60)"
    )
    parser.add_argument("--exact", action="store_true", help="cut at the maximum duration instead of at pauses")
    parser.add_argument(
        "--loudness", type=loudness, metavar="LUFS", help="target loudness, such as -14 (default: unchanged)"
    )


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m media.plan", description="Plan the parts of a video.")
    add_cutting_arguments(parser)
    parser.add_argument("--intensity", type=float, default=0.0, help="above 0: also estimate the speaker's calibration")
    parser.add_argument(
        "--without-zero", action="store_true", help="save memory: do not estimate the speaker's calibration"
    )
    parser.add_argument("--without-scenes", action="store_true", help="save memory: do not search for scene changes")
    return parser


if __name__ == "__main__":
    sys.exit(child.run_stage(arguments(), "media.stages.plan:plan", reads=["source"]))
