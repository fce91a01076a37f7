"""The door to `python -m media.split IN OUTDIR`: cut a video into its parts, without touching the eyes."""

import argparse
import sys
from pathlib import Path

from media.plan import add_cutting
from media.process import child


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m media.split", description="Cut a video into parts for the platforms."
    )
    add_cutting(parser)
    parser.add_argument("folder", type=Path, metavar="OUTDIR", help="where part-001.mp4 and so on go")
    parser.add_argument(
        "--landscape",
        choices=("none", "crop", "blur"),
        default="none",
        help="make a landscape video vertical: crop follows the speaker, blur shows all of it (none)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(child.run_stage(arguments(), "media.stages.split:split"))
