"""The command `python -m media.split IN OUTDIR`: renders the parts of a video without gaze correction."""

import argparse
import sys
from pathlib import Path

from media.plan import add_cutting_arguments
from media.process import child


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m media.split", description="Cut a video into parts for the platforms."
    )
    add_cutting_arguments(parser)
    parser.add_argument("folder", type=Path, metavar="OUTDIR", help="folder for part-001.mp4, part-002.mp4 …")
    parser.add_argument(
        "--landscape",
        choices=("none", "crop", "blur"),
        default="none",
        help="make a landscape video vertical: crop follows the speaker, blur shows the whole picture (none)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(child.run_stage(arguments(), "media.stages.split:split", reads=["source"], fills=["folder"]))
