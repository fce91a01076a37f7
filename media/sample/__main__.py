"""The command `python -m media.sample OUT.mp4`: writes a sample clip, for users without a video at hand."""

import argparse
import sys
from pathlib import Path

from media.process import child

SECONDS, MAX_SECONDS = 74.0, 600.0  # two parts of at most a minute
WIDTHS = (360, 540, 720, 1080)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    command = argparse.ArgumentParser(prog="python -m media.sample", description=__doc__)
    command.add_argument("target", type=Path, metavar="OUT.mp4", help="the file to write")
    command.add_argument("--seconds", type=_seconds, default=SECONDS, help=f"length of the clip ({SECONDS:g})")
    command.add_argument("--width", type=int, choices=WIDTHS, default=720, help="of the portrait picture (720)")
    return command


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"between 1 and {MAX_SECONDS:g} seconds")
    return value


if __name__ == "__main__":
    sys.exit(child.run_stage(parser(), "media.sample.film:film", writes=["target"]))
