"""The command `python -m media.probe IN`: prints the facts about an upload, or why it is refused."""

import argparse
import sys
from pathlib import Path

from media.process import child


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m media.probe", description="Print the facts about an upload, or why it is refused."
    )
    parser.add_argument("source", type=Path, metavar="IN", help="the upload")
    return parser


if __name__ == "__main__":
    sys.exit(child.run_stage(arguments(), "media.stages.probe:probe", reads=["source"]))
