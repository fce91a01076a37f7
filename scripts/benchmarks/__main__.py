"""Run a benchmark, or all of them in short runs for one table.

`scripts/bench NAME [OPTIONS]` runs one; `scripts/bench NAME --help` explains it. Without a name all run one after
another, for about a quarter of an hour, each beside its baselines, and one table is printed. It is also written to
build/bench/table.md, with a log for each benchmark. A line tells what was skipped or failed, and why; after a failure
the exit code is 1. The ratio is VidProd's value divided by the other one.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from scripts.benchmarks.summary import complete_run, readme, tools
from scripts.benchmarks.summary.registry import BENCHMARKS


def main(arguments: list[str]) -> int:
    """Run what the command line says."""
    commands = {one.name: one.command for one in BENCHMARKS}
    tools.make_importable()
    if arguments and arguments[0] in commands:
        os.execv(sys.executable, [sys.executable, "-m", commands[arguments[0]], *arguments[1:]])  # noqa: S606
    options = _parser().parse_args(arguments)
    if options.install:
        tools.install()
    elif options.write_readme:
        return _write_readme()
    else:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # the running benchmark is stopped, too
        report = complete_run.run()
        print(report.text)
        return 1 if report.has_failures else 0
    return 0


def _write_readme() -> int:
    if not complete_run.TABLE.exists():
        print("There is no table yet: run scripts/bench first", file=sys.stderr)
        return 1
    readme.write(complete_run.TABLE.read_text(encoding="utf-8"), readme.README)
    return 0


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {one.name:15} {one.title} ({one.share_s} s)" for one in BENCHMARKS)
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        usage="scripts/bench [-h] [--install | --write-readme]\n       scripts/bench NAME [OPTIONS]",
        description=__doc__,
        epilog=f"names, and the time of each in the complete run:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--install", action="store_true", help="install the packages of others into build/bench")
    what.add_argument("--write-readme", action="store_true", help="put the last table into README.md")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
