"""The broker benchmark runs with this project's broker alone; its figures are not asserted."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.benchmarks.broker import __main__ as bench
from scripts.benchmarks.broker import measurements
from scripts.benchmarks.broker.candidates import CANDIDATES, Candidate
from scripts.benchmarks.broker.environment import QUICK_SIZES, Environment, Sizes
from scripts.benchmarks.broker.figures import Figure, Results
from scripts.benchmarks.broker.measurements import (
    DUPLICATES,
    FINISHED,
    IDLE_SERVER_CPU,
    IDLE_SERVER_PSS,
    LOST,
    RECOVERED,
    kill_figures,
)
from scripts.benchmarks.broker.run_log import Run, RunLog, ended, runs
from scripts.benchmarks.broker.table import table
from tests.postgresql_server import postgresql_programs

SECOND_NS = 1_000_000_000
OURS = CANDIDATES[0]


TINY = Sizes(
    latency_messages=3,
    idle_s=0.1,
    messages=40,
    backlog=1_200,
    backlog_pairs=1,
    jobs=60,
    job_ms=5,
    timeout_s=20.0,
    limit_s=0.02,
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def measured(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Run the bench with ours alone and tiny numbers; returns the table's cells by their titles."""
    monkeypatch.setattr(bench, "QUICK_SIZES", TINY)

    def run(*options: str, key: str = OURS.key, directory: Path = tmp_path) -> dict[str, str]:
        bench.main(["--quick", "--brokers", key, "--directory", str(directory), *options])
        lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        return {title.strip(): cell.strip() for title, cell in lines[2:]}

    return run


def test_the_bench_runs_with_ours_alone_and_leaves_nothing_behind(
    measured: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    figures = measured("--only", "latency", "enqueue")
    assert 3 == len(figures)
    assert all(float(cell.replace(",", "")) > 0 for cell in figures.values())
    assert [] == list(tmp_path.iterdir())


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Return a directory that PostgreSQL's user can reach, unlike those of pytest."""
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.skipif(postgresql_programs() is None, reason="PostgreSQL's programs are missing")
@pytest.mark.slow
def test_ours_is_measured_on_a_server_of_its_own(measured: Callable[..., dict[str, str]], open_directory: Path) -> None:
    key = "ours-postgresql"
    figures = measured("--only", "latency", "enqueue", "drain", "kill", key=key, directory=open_directory)
    assert figures[LOST.title] == "0"
    assert [] == list(open_directory.iterdir())


@pytest.mark.slow
def test_every_line_of_the_table_is_measured_for_ours(measured: Callable[..., dict[str, str]]) -> None:
    """So that the bench does not rot between two measurements."""
    figures = measured()
    of_servers = {IDLE_SERVER_CPU, IDLE_SERVER_PSS}
    every = {figure for figure in vars(measurements).values() if isinstance(figure, Figure)}
    assert {figure.title for figure in every - of_servers} == set(figures)
    assert [] == [title for title, cell in figures.items() if cell in {"–", "never"}]
    assert "0" == figures[LOST.title]


def test_a_broker_that_is_not_installed_is_left_out_with_the_reason(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Candidate(
        "absent", "Absent", "none", OURS.key, packages=("no_such_package",), programs=("no-such-server",)
    )
    monkeypatch.setattr(bench, "CANDIDATES", (absent,))
    bench.main(["--quick", "--only", "drain", "--brokers", "absent", "--directory", str(tmp_path)])
    assert "Without Absent: Python package no_such_package, program no-such-server." in capsys.readouterr().out


def test_the_figures_of_a_kill_are_read_from_the_run_logs() -> None:
    """Of six jobs 0 had ended, 1 was running elsewhere, 2 was cut off, 3 taken but not begun, 4 and 5 were waiting."""
    killed_ns = 10 * SECOND_NS
    logged = [
        Run(0, 0, 1 * SECOND_NS, 2 * SECOND_NS),
        Run(1, 0, 9 * SECOND_NS, 11 * SECOND_NS),
        Run(2, 0, 9 * SECOND_NS, 0),
        Run(4, 0, 9 * SECOND_NS, 11 * SECOND_NS),
        Run(2, 0, 12 * SECOND_NS, 13 * SECOND_NS),
        Run(3, 0, 14 * SECOND_NS, 15 * SECOND_NS),
        Run(5, 0, 16 * SECOND_NS, 17 * SECOND_NS),
    ]
    assert {RECOVERED: 4.0, FINISHED: 7.0, LOST: 0, DUPLICATES: 0} == kill_figures(logged, killed_ns, jobs=6)


def test_a_job_that_never_came_back_is_lost_and_one_that_ended_twice_is_counted() -> None:
    killed_ns = 10 * SECOND_NS
    logged = [
        Run(0, 0, 1 * SECOND_NS, 2 * SECOND_NS),
        Run(1, 0, 9 * SECOND_NS, 0),
        Run(0, 0, 12 * SECOND_NS, 13 * SECOND_NS),
    ]
    figures = kill_figures(logged, killed_ns, jobs=2)
    assert {"never", "1"} == {RECOVERED.shown(figures[RECOVERED]), LOST.shown(figures[LOST])}
    assert 1 == figures[DUPLICATES]


def test_a_run_log_counts_ended_runs_and_keeps_all_that_began(tmp_path: Path) -> None:
    run_log = RunLog(tmp_path / "run_log", capacity=2)
    first, _cut_off, beyond = run_log.begin(7, 1), run_log.begin(8, 2), run_log.begin(9, 3)
    run_log.end(first)
    run_log.end(beyond)
    assert 2 == ended(tmp_path / "run_log")
    assert [(7, 1, True), (8, 2, False)] == [
        (run.number, run.sent_ns, run.ended_ns > 0) for run in runs(tmp_path / "run_log")
    ]


def test_a_cell_shows_median_spread_and_the_ratio_to_ours() -> None:
    results, speed = Results(), Figure("speed", 1)
    other = Candidate("other", "Other", "none", OURS.key)
    for ours, theirs in [(1.0, 4.0), (2.0, 5.0), (3.0, 6.0)]:
        results.add(OURS.key, {speed: ours})
        results.add("other", {speed: theirs})
    assert "| speed | 2.0 [1.0–3.0] | 5.0 [4.0–6.0] (2.50×) |" in table(results, [OURS, other])


def test_a_target_is_used_once(tmp_path: Path) -> None:
    environment = Environment(tmp_path, {}, QUICK_SIZES)
    assert environment.target(OURS) != environment.target(OURS)
