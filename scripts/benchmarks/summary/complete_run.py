"""The complete run: all benchmarks one after another, each as a process of its own with a deadline."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.broker.resources import family
from scripts.benchmarks.summary import environment, versions
from scripts.benchmarks.summary.registry import BENCHMARKS, Benchmark
from scripts.benchmarks.summary.row import Line, NotMeasured, from_json
from scripts.benchmarks.summary.table import table

__all__ = ["TABLE", "Report", "run"]

TABLE = environment.FOLDER / "table.md"  # of the last complete run
REASON_CHARACTERS = 160
STOP_TIMEOUT_S = 20.0
DISK = Path("/var/tmp")  # noqa: S108  # a new directory is created in it; /tmp may be memory
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a complete run."""

    text: str
    has_failures: bool


def run(benchmarks: Iterable[Benchmark] = BENCHMARKS, folder: Path = environment.FOLDER) -> Report:
    """Run the benchmarks; their logs are written to the folder, and the table beside them.

    The process must have no other children: all that run after a benchmark are killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _adopt_orphans()
    machine, began_s = environment.current(), time.monotonic()
    results: dict[str, Sequence[Line]] = {}
    for one in benchmarks:
        print(f"{time.strftime('%H:%M:%S')} {one.name}: {one.title}", file=sys.stderr, flush=True)
        results[one.name] = measured(one, folder)
    minutes = (time.monotonic() - began_s) / 60
    took = f"the run took {minutes:.0f} minutes"
    text = f"{machine.text()}; {took}. Beside VidProd: {versions.text()}.\n\n{table(results)}\n"
    (folder / TABLE.name).write_text(text, encoding="utf-8")
    return Report(text, _has_failures(results))


def measured(benchmark: Benchmark, folder: Path) -> Sequence[Line]:
    """Return the lines of one benchmark; the last one tells how it failed, if it did."""
    target, log = folder / f"{benchmark.name}.jsonl", folder / f"{benchmark.name}.log"
    target.write_text("")
    scratch = tempfile.TemporaryDirectory(prefix=f"bench-{benchmark.name}-", dir=DISK, ignore_cleanup_errors=True)
    with scratch as files, log.open("wb") as output:
        Path(files).chmod(0o711)  # PostgreSQL's directory in it belongs to another user
        command = [sys.executable, "-m", "scripts.benchmarks.summary", benchmark.name, files, str(target)]
        process = subprocess.Popen(
            command, cwd=environment.ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        failure = _failure(process, benchmark.deadline_s, log)
    lines = [from_json(text) for text in target.read_text().splitlines()]
    if failure is None and not lines:
        failure = "it measured nothing"
    return [*lines, NotMeasured(benchmark.title, failure, is_failure=True)] if failure else lines


def _failure(process: subprocess.Popen[bytes], deadline_s: float, log: Path) -> str | None:
    """Wait for the process; return how it failed. Afterwards none of its descendants runs, however it ended."""
    try:
        if process.wait(deadline_s) == 0:
            return None
    except subprocess.TimeoutExpired:
        return f"not finished after {deadline_s:.0f} s"
    finally:
        _stop(process)
        _kill_descendants()
    said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return said[-1][:REASON_CHARACTERS] if said else f"exit code {process.returncode}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the process as by Ctrl-C, so that it stops its servers and deletes its files, too."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _adopt_orphans() -> None:
    """Become the parent of descendants whose parents end: servers have sessions of their own."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _kill_descendants() -> None:
    while children := family(os.getpid()) - {os.getpid()}:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


def _has_failures(results: Mapping[str, Sequence[Line]]) -> bool:
    lines = [line for lines in results.values() for line in lines]
    return any(isinstance(line, NotMeasured) and line.is_failure for line in lines)
