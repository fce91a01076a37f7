"""Measure this project's broker and other Dramatiq brokers in one run, and print a table.

Everything is real: worker processes with Dramatiq's Worker (8 threads), files and servers in a scratch directory on
disk, connections over loopback. Rounds are interleaved between the brokers. The table shows medians, the lowest and
the highest value in square brackets, and the ratio to the column of this broker with the most similar durability.
Brokers whose packages (requirements-bench.in) or servers are not installed are left out, with the reason.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.benchmarks.broker import measurements
from scripts.benchmarks.broker.candidates import CANDIDATES, Candidate
from scripts.benchmarks.broker.environment import FULL_SIZES, QUICK_SIZES, Environment, Sizes
from scripts.benchmarks.broker.figures import Results
from scripts.benchmarks.broker.limits import in_memory_rate, one_row_commits
from scripts.benchmarks.broker.measurements import Figures
from scripts.benchmarks.broker.servers import STARTERS, Server, ServerFailed
from scripts.benchmarks.broker.table import durability, table

EACH_ROUND: dict[str, Callable[[Environment, Candidate], Figures]] = {
    "latency": measurements.latency,
    "enqueue": measurements.enqueue,
    "enqueue4": measurements.enqueue_by_four,
    "drain": measurements.drain,
    "kill": measurements.kill,
}
ONCE = ("limits", "idle", "backlog")  # idle: all candidates at once; backlog: repeats itself


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    options = _parser().parse_args(arguments)
    sizes = QUICK_SIZES if options.quick else FULL_SIZES
    sizes = replace(sizes, messages=options.messages or sizes.messages)
    rounds = options.rounds or (1 if options.quick else 3)
    directory = Path(tempfile.mkdtemp(prefix="bench-broker-", dir=options.directory))
    directory.chmod(0o711)  # PostgreSQL's directory in it belongs to another user
    try:
        with ExitStack() as stack:
            candidates, servers = _available(options.brokers, directory, stack)
            environment = Environment(directory, servers, sizes)
            print(_heading(environment, rounds))
            if "limits" in options.only:
                print(_limits(environment.directory, environment.sizes))
            results = _measure(environment, candidates, options.only, rounds)
            print(table(results, candidates), durability(candidates), sep="\n\n")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measure(environment: Environment, candidates: list[Candidate], rows: list[str], rounds: int) -> Results:
    results = Results()
    for candidate, figures in _measured(environment, candidates, rows, rounds):
        results.add(candidate.key, figures)
    return results


def _measured(
    environment: Environment, candidates: list[Candidate], rows: list[str], rounds: int
) -> Iterator[tuple[Candidate, Figures]]:
    if "idle" in rows:
        _progress("idle")
        yield from measurements.idle(environment, candidates)
    for number in range(rounds):
        turn = number % max(1, len(candidates))
        for row in [row for row in EACH_ROUND if row in rows]:
            for candidate in candidates[turn:] + candidates[:turn]:  # no candidate is always the first
                _progress(f"round {number + 1} of {rounds}: {row}, {candidate.title}")
                yield candidate, EACH_ROUND[row](environment, candidate)
    if "backlog" in rows:
        _progress("backlog")
        yield from measurements.backlog(environment, candidates, rounds)


def _available(wanted: list[str], directory: Path, stack: ExitStack) -> tuple[list[Candidate], dict[str, Server]]:
    """Return the candidates that are installed, with their running servers; print the others."""
    present: list[Candidate] = []
    servers: dict[str, Server] = {}
    for candidate in CANDIDATES:
        if candidate.key not in wanted:
            continue
        reason = candidate.missing()
        if reason is None and candidate.server is not None:
            own = directory / candidate.key
            own.mkdir()
            try:
                servers[candidate.key] = stack.enter_context(STARTERS[candidate.server](own))
            except ServerFailed as failed:
                reason = str(failed)
        if reason is None:
            present.append(candidate)
        else:
            print(f"Without {candidate.title}: {reason}.")
    return present, servers


def _heading(environment: Environment, rounds: int) -> str:
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{moment}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}, "
        f"SQLite {sqlite3.sqlite_version}, {_file_system(environment.directory)}; medians of {rounds} rounds; "
        f"{environment.sizes.messages:,} messages, a backlog of {environment.sizes.backlog:,}, "
        f"{environment.sizes.jobs:,} jobs in the kill test\n"
    )


def _limits(directory: Path, sizes: Sizes) -> str:
    full, normal = (one_row_commits(directory, mode, sizes.limit_s) for mode in ("FULL", "NORMAL"))
    memory = in_memory_rate(directory, 2 * sizes.messages)
    return (
        f"The machine's limits: one-row commits {full:,.0f}/s FULL and {normal:,.0f}/s NORMAL; "
        f"Dramatiq in memory {memory:,.0f} messages/s (1 process × 8 threads).\n"
    )


def _file_system(path: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    _, kind = max((mount for mount in mounts if path.is_relative_to(mount[0])), key=lambda mount: len(mount[0]))
    return kind + (" (memory, not a disk!)" if kind in {"tmpfs", "ramfs"} else "")


def _progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    rows = [*ONCE, *EACH_ROUND]
    names = [candidate.key for candidate in CANDIDATES]
    parser = argparse.ArgumentParser(
        prog="scripts/bench broker", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, one round: a check of the benchmark")
    parser.add_argument("--only", nargs="+", choices=rows, default=rows, metavar="ROW", help=f"of {', '.join(rows)}")
    parser.add_argument("--brokers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--messages", type=int, help=f"of a round of enqueue and drain; {FULL_SIZES.messages}")
    parser.add_argument("--rounds", type=int, help="repetitions of each row; default 3, or 1 with --quick")
    place = Path("/var/tmp")  # noqa: S108  # a new directory is created in it
    parser.add_argument("--directory", type=Path, default=place, help="a directory on the disk to measure; /var/tmp")
    return parser


if __name__ == "__main__":
    main()
