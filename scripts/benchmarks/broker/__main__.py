"""Measure our broker beside others of Dramatiq's in one run, and print the table.

Everything is real: processes of their own with Dramatiq's Worker (8 threads), files and servers in a scratch
directory on disk, loopback. Rounds are interleaved between the brokers; the table shows medians, the least and the
greatest value in square brackets, and the ratio to that column of ours whose durability is the nearest. Brokers whose
packages (requirements-bench.in) or servers are not installed are left out, with the reason.
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
from datetime import UTC, datetime
from pathlib import Path

from scripts.benchmarks.broker import measurements
from scripts.benchmarks.broker.candidates import CONTESTANTS, Contestant
from scripts.benchmarks.broker.environment import FULL_SIZES, QUICK_SIZES, Arena, Sizes
from scripts.benchmarks.broker.figures import Results
from scripts.benchmarks.broker.limits import in_memory_rate, one_row_commits
from scripts.benchmarks.broker.measurements import Figures
from scripts.benchmarks.broker.servers import STARTERS, Server, ServerFailed
from scripts.benchmarks.broker.table import durability, table

EACH_ROUND: dict[str, Callable[[Arena, Contestant], Figures]] = {
    "latency": measurements.latency,
    "enqueue": measurements.enqueue,
    "enqueue4": measurements.enqueue_by_four,
    "drain": measurements.drain,
    "kill": measurements.kill,
}
ONCE = ("limits", "idle", "backlog")  # idle: all at the same time; backlog: rounds of its own


def main(arguments: list[str] | None = None) -> None:
    """Run the bench."""
    options = _parser().parse_args(arguments)
    sizes = QUICK_SIZES if options.quick else FULL_SIZES
    rounds = options.rounds or (1 if options.quick else 3)
    home = Path(tempfile.mkdtemp(prefix="bench-broker-", dir=options.directory))
    home.chmod(0o711)  # PostgreSQL's directory in it belongs to another user
    try:
        with ExitStack() as stack:
            contestants, servers = _gathered(options.brokers, home, stack)
            arena = Arena(home, servers, sizes)
            print(_heading(arena, rounds))
            if "limits" in options.only:
                print(_limits(arena.home, arena.sizes))
            results = _measure(arena, contestants, options.only, rounds)
            print(table(results, contestants), durability(contestants), sep="\n\n")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _measure(arena: Arena, contestants: list[Contestant], rows: list[str], rounds: int) -> Results:
    results = Results()
    for contestant, figures in _measured(arena, contestants, rows, rounds):
        results.add(contestant.key, figures)
    return results


def _measured(
    arena: Arena, contestants: list[Contestant], rows: list[str], rounds: int
) -> Iterator[tuple[Contestant, Figures]]:
    if "idle" in rows:
        _progress("idle")
        yield from measurements.idle(arena, contestants)
    for number in range(rounds):
        turn = number % max(1, len(contestants))
        for row in [row for row in EACH_ROUND if row in rows]:
            for contestant in contestants[turn:] + contestants[:turn]:  # nobody is always the first
                _progress(f"round {number + 1} of {rounds}: {row}, {contestant.title}")
                yield contestant, EACH_ROUND[row](arena, contestant)
    if "backlog" in rows:
        _progress("backlog")
        yield from measurements.backlog(arena, contestants, rounds)


def _gathered(wanted: list[str], home: Path, stack: ExitStack) -> tuple[list[Contestant], dict[str, Server]]:
    """Return who can take part, and their servers, running; say who cannot."""
    present: list[Contestant] = []
    servers: dict[str, Server] = {}
    for contestant in CONTESTANTS:
        if contestant.key not in wanted:
            continue
        reason = contestant.missing()
        if reason is None and contestant.server is not None:
            directory = home / contestant.server
            directory.mkdir()
            try:
                servers[contestant.key] = stack.enter_context(STARTERS[contestant.server](directory))
            except ServerFailed as failed:
                reason = str(failed)
        if reason is None:
            present.append(contestant)
        else:
            print(f"Without {contestant.title}: {reason}.")
    return present, servers


def _heading(arena: Arena, rounds: int) -> str:
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{moment}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}, "
        f"SQLite {sqlite3.sqlite_version}, {_file_system(arena.home)}; medians of {rounds} rounds; "
        f"{arena.sizes.messages:,} messages, a backlog of {arena.sizes.backlog:,}, "
        f"{arena.sizes.jobs:,} jobs to kill amid\n"
    )


def _limits(home: Path, sizes: Sizes) -> str:
    full, normal = (one_row_commits(home, mode, sizes.limit_s) for mode in ("FULL", "NORMAL"))
    memory = in_memory_rate(home, 2 * sizes.messages)
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
    names = [contestant.key for contestant in CONTESTANTS]
    parser = argparse.ArgumentParser(
        prog="scripts/bench broker", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small numbers, one round: whether it runs at all")
    parser.add_argument("--only", nargs="+", choices=rows, default=rows, metavar="ROW", help=f"of {', '.join(rows)}")
    parser.add_argument("--brokers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, help="how often each row is measured; default 3, or 1 with --quick")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="on the disk to measure; /var/tmp")  # noqa: S108  # a directory of our own is made in it
    return parser


if __name__ == "__main__":
    main()
