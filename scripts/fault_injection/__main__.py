"""scripts/chaos: let faults strike a whole machine with mock platforms while videos pass through, and judge the result.

Kills and stops of every process, a full disk, jumps of the wall clock, platforms that are down, hang, refuse or lose
their answers, a locked database, broken and slow uploads, files that are no videos: all at the same time. Afterwards
every accepted upload must have ended in its parts, each once and in order, or in a failure with a reason. The verdict
relies on the records of the clients and of the mock platforms, not on the machine's own.

The random numbers come from the seed; what they strike depends on the speed of the machine, so that a run with the same
seed is alike, but not the same.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from scripts.fault_injection.run import Options, Run


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    command = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--minutes", type=float, default=5.0, help="for which faults are injected (default: 5)")
    command.add_argument("--seed", type=int, help="of the random numbers (default: a new one, which is printed)")
    command.add_argument("--uploads", type=int, default=6, help="that are processed at the same time (default: 6)")
    command.add_argument("--files", type=Path, help="a directory of more files to upload; they may be refused")
    command.add_argument("--keep", type=Path, help="a directory for logs and records (default: deleted at the end)")
    command.add_argument("--without", action="append", default=[], metavar="LANE", help="leave out a kind of faults")
    return command


def main() -> int:
    """Run; return 0 if everything holds."""
    arguments = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: the machine is stopped, the disk unmounted
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    started_in = Path(os.environ.get("STARTED_IN", ""))  # the shell command has changed into the project's folder
    options = Options(
        minutes=arguments.minutes,
        seed=seed,
        uploads=arguments.uploads,
        files=None if arguments.files is None else started_in / arguments.files,
        without=frozenset(arguments.without),
    )
    with ExitStack() as opened:
        if arguments.keep is None:
            directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="vidprod-")))
        else:
            directory = started_in / arguments.keep
            directory.mkdir(parents=True, exist_ok=True)
        return Run(options, directory).execute()


if __name__ == "__main__":
    sys.exit(main())
