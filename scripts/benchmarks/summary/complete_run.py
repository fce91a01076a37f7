"""The complete run: all benchmarks one after another, each as a process of its own with a deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.summary import environment
from scripts.benchmarks.summary.registry import BENCHMARKS, Benchmark
from scripts.benchmarks.summary.row import Line, NotMeasured, from_json
from scripts.benchmarks.summary.table import table

__all__ = ["FOLDER", "TABLE", "Report", "run"]

FOLDER = environment.ROOT / "build" / "bench"
TABLE = FOLDER / "table.md"  # of the last complete run
REASON_CHARACTERS = 160
STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a complete run."""

    text: str
    has_failures: bool


def run(benchmarks: Iterable[Benchmark] = BENCHMARKS, folder: Path = FOLDER) -> Report:
    """Run the benchmarks; their logs are written to the folder, and the table beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    machine, began_s = environment.current(), time.monotonic()
    results: dict[str, Sequence[Line]] = {}
    for one in benchmarks:
        print(f"{time.strftime('%H:%M:%S')} {one.name}: {one.title}", file=sys.stderr, flush=True)
        results[one.name] = measured(one, folder)
    minutes = (time.monotonic() - began_s) / 60
    text = f"{machine.text()}; the run took {minutes:.0f} minutes.\n\n{table(results)}\n"
    (folder / TABLE.name).write_text(text, encoding="utf-8")
    return Report(text, _has_failures(results))


def measured(benchmark: Benchmark, folder: Path) -> Sequence[Line]:
    """Return the lines of one benchmark; the last one tells how it failed, if it did."""
    target, log = folder / f"{benchmark.name}.jsonl", folder / f"{benchmark.name}.log"
    target.write_text("")
    command = [sys.executable, "-m", "scripts.benchmarks.summary", benchmark.name, str(target)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=environment.ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        failure = _failure(process, benchmark.deadline_s, log)
    lines = [from_json(text) for text in target.read_text().splitlines()]
    if failure is None and not lines:
        failure = "it measured nothing"
    return [*lines, NotMeasured(benchmark.title, failure, is_failure=True)] if failure else lines


def _failure(process: subprocess.Popen[bytes], deadline_s: float, log: Path) -> str | None:
    """Wait for the process; return how it failed. Afterwards no process of its session runs, however it ended."""
    try:
        if process.wait(deadline_s) == 0:
            return None
    except subprocess.TimeoutExpired:
        return f"not finished after {deadline_s:.0f} s"
    finally:
        _end_session(process)
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return said[-1][:REASON_CHARACTERS] if said else f"exit code {process.returncode}"


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """First as by Ctrl-C, so that the servers of the benchmark are stopped, too."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _has_failures(results: Mapping[str, Sequence[Line]]) -> bool:
    lines = [line for lines in results.values() for line in lines]
    return any(isinstance(line, NotMeasured) and line.is_failure for line in lines)
