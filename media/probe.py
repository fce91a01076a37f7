"""The door to `python -m media.probe IN`: what is this upload, or why is it refused?"""

import argparse
import sys
from pathlib import Path

from media.process import child


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m media.probe", description="Tell what an upload is, or why it is refused."
    )
    parser.add_argument("source", type=Path, metavar="IN", help="the upload")
    return parser


if __name__ == "__main__":
    sys.exit(child.run_stage(arguments(), "media.stages.probe:probe"))
