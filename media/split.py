"""The door to `python -m media.split IN OUTDIR`: cut a video into its parts, without touching the eyes."""

import argparse
import sys
from pathlib import Path

from media import child
from media.plan import add_cutting

LOUDNESS = (-31, -9)  # LUFS


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="media.split", description="Cut a video into parts for the platforms.")
    add_cutting(parser)
    parser.add_argument("folder", type=Path, metavar="OUTDIR", help="where part-001.mp4 and so on go")
    parser.add_argument(
        "--landscape",
        choices=("none", "crop", "blur"),
        default="none",
        help="make a landscape video vertical: crop follows the speaker, blur shows all of it (none)",
    )
    parser.add_argument(
        "--loudness", type=loudness, metavar="LUFS", help="bring the sound to a level, such as -14 (as it is)"
    )
    return parser


def loudness(text: str) -> float:
    """Read a level; ValueError outside of what platforms and broadcasters want."""
    value = float(text)
    if not LOUDNESS[0] <= value <= LOUDNESS[1]:
        raise argparse.ArgumentTypeError(f"from {LOUDNESS[0]} to {LOUDNESS[1]} LUFS")
    return value


if __name__ == "__main__":
    sys.exit(child.stage(arguments(), "media.splitting:split"))
