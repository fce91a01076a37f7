"""The table of all benchmarks: every benchmark has a row, and what is missing or fails is told."""

from __future__ import annotations

import importlib
import inspect
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmarks import __main__ as bench
from scripts.benchmarks.broker import rows as broker_rows
from scripts.benchmarks.broker.environment import Sizes
from scripts.benchmarks.summary import complete_run, environment, readme
from scripts.benchmarks.summary.registry import BENCHMARKS, Benchmark
from scripts.benchmarks.summary.row import Goal, Line, NotMeasured, Row, from_json, to_json
from scripts.benchmarks.summary.table import HEAD, number, table
from tests.support.waiting import wait_for

ROOT = environment.ROOT
FOLDER = ROOT / "scripts" / "benchmarks"
Capture = pytest.CaptureFixture[str]

SPEED = Row("speed", 300.0, "km/h", "a train", 200.0, "more", Goal(1.2, of="ratio"))
DELAY = Row("delay", 3.0, "ms", "a letter", 12.0, goal=Goal(2.0))
ALONE = Row("memory", 1234.0, "MiB")
NEVER = Row("answer", 3.0, "ms", "a wall", math.inf)
SKIPPED, FAILED = NotMeasured("height", "no ladder"), NotMeasured("depth", "no ground | water", is_failure=True)


def cells(markdown: str) -> list[list[str]]:
    """Return the cells of all lines of a table."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_command_of_the_benchmarks_is_in_the_table() -> None:
    """A new benchmark cannot be omitted: a module that is a command must be registered."""
    found = set()
    for path in FOLDER.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        is_command = "ArgumentParser(" in path.read_text(encoding="utf-8")
        if is_command and module != "scripts.benchmarks":
            found.add(module)
    assert {one.command for one in BENCHMARKS} == found


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda one: one.name)
def test_every_benchmark_has_rows(benchmark: Benchmark) -> None:
    rows = importlib.import_module(benchmark.rows_module).rows
    assert list(inspect.signature(rows).parameters) == ["folder"]
    assert inspect.isgeneratorfunction(rows)


def test_the_complete_run_takes_a_quarter_of_an_hour() -> None:
    assert sum(one.share_s for one in BENCHMARKS) <= 15 * 60


@pytest.mark.parametrize("line", [SPEED, DELAY, ALONE, NEVER, SKIPPED, FAILED])
def test_a_line_survives_json(line: Line) -> None:
    assert repr(from_json(to_json(line))) == repr(line)  # NaN does not equal itself


def test_the_table_shows_ratio_values_and_goal() -> None:
    head, rule, *rows = cells(table({"a": [SPEED, DELAY, ALONE, NEVER], "b": [SKIPPED, FAILED]}))
    assert head == list(HEAD)
    assert set("".join(rule)) == {"-", ":"}
    assert rows == [
        ["1.50 ×", "speed (more is better)", "300 km/h", "200 km/h, a train", "≥ 1.20 ×: met", "`a`"],
        ["0.25 ×", "delay (less is better)", "3 ms", "12 ms, a letter", "≤ 2 ms: missed", "`a`"],
        ["–", "memory (less is better)", "1,230 MiB", "–", "–", "`a`"],
        ["0 ×", "answer (less is better)", "3 ms", "never, a wall", "–", "`a`"],
        ["–", "height", "skipped: no ladder", "–", "–", "`b`"],
        ["–", "depth", r"failed: no ground \| water", "–", "–", "`b`"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00123, "0.001"),
        (0.456, "0.46"),
        (4.56, "4.56"),
        (45.6, "45.6"),
        (456.7, "457"),
        (45_678.0, "45,700"),
    ],
)
def test_a_number_has_about_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_without_a_baseline_value_of_zero_the_ratio_is_infinite_or_one() -> None:
    assert Row("cuts", 2.0, "", "none", 0.0).ratio == math.inf
    assert Row("cuts", 0.0, "", "none", 0.0).ratio == 1.0


STAND_INS = {
    "fails": "raise RuntimeError('the disk is on fire')\n    yield",
    "fails_later": "yield Row('half', 1.0, 's')\n    raise RuntimeError('the second half is missing')",
    "dies": "import os\n    os._exit(3)\n    yield",
    "measures": "yield Row('length', 1.0, 'm', 'a yard', 0.9144, better='more')",
    "skips": "yield NotMeasured('width', 'no ruler')",
    "measures_nothing": "yield from ()",
    "hangs": "import subprocess, sys, time\n"
    "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "    (Path(__file__).parent / 'child').write_text(str(child.pid))\n"
    "    time.sleep(600)\n    yield",
}


@pytest.fixture
def benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Benchmark]:
    """Stand-ins for benchmarks, which the process finds like real ones."""
    package = tmp_path / "stand_ins"
    package.mkdir()
    imports = "from pathlib import Path\nfrom scripts.benchmarks.summary.row import NotMeasured, Row\n"
    found = {name: Benchmark(name, name, 0, f"the stand-in {name}") for name in STAND_INS}
    for name, body in STAND_INS.items():
        (package / f"{name}.py").write_text(f"{imports}\n\ndef rows(folder):\n    {body}\n")
    names = ", ".join(f"Benchmark({one.name!r}, {one.rows_in!r}, 0, {one.title!r})" for one in found.values())
    (tmp_path / "sitecustomize.py").write_text(
        "from pathlib import Path\n"
        "from scripts.benchmarks.summary import registry\nfrom scripts.benchmarks.summary.registry import Benchmark\n"
        f"registry.PACKAGE, registry.BENCHMARKS = 'stand_ins', ({names},)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    return found


def run(tmp_path: Path, *chosen: Benchmark) -> tuple[complete_run.Report, list[list[str]]]:
    """Run stand-ins; returns the report and the cells below the table's head."""
    report = complete_run.run(chosen, tmp_path / "bench")
    assert (tmp_path / "bench" / "table.md").read_text(encoding="utf-8") == report.text
    return report, cells(report.text)[2:]


def test_a_failing_benchmark_is_a_line_and_the_others_run(tmp_path: Path, benchmarks: dict[str, Benchmark]) -> None:
    chosen = ("fails", "dies", "fails_later", "measures_nothing", "measures")
    report, rows = run(tmp_path, *(benchmarks[name] for name in chosen))
    assert report.has_failures
    assert [(row[1], row[2]) for row in rows] == [
        ("the stand-in fails", "failed: RuntimeError: the disk is on fire"),
        ("the stand-in dies", "failed: exit code 3"),
        ("half (less is better)", "1 s"),
        ("the stand-in fails_later", "failed: RuntimeError: the second half is missing"),
        ("the stand-in measures_nothing", "failed: it measured nothing"),
        ("length (more is better)", "1 m"),
    ]


def test_a_missing_tool_is_a_line_and_no_failure(tmp_path: Path, benchmarks: dict[str, Benchmark]) -> None:
    report, rows = run(tmp_path, benchmarks["skips"], benchmarks["measures"])
    assert not report.has_failures
    assert rows[0][1:3] == ["width", "skipped: no ruler"]


@pytest.mark.slow
def test_a_benchmark_that_hangs_is_ended_with_its_processes(
    tmp_path: Path, benchmarks: dict[str, Benchmark], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Benchmark, "deadline_s", 15.0)
    report, [row] = run(tmp_path, benchmarks["hangs"])
    assert report.has_failures
    assert row[2] == "failed: not finished after 15 s"
    stat = Path("/proc") / (tmp_path / "stand_ins" / "child").read_text() / "stat"
    wait_for(lambda: not stat.exists() or ") Z " in stat.read_text(), "the end of the child")


def test_the_report_names_the_machine(tmp_path: Path, benchmarks: dict[str, Benchmark]) -> None:
    report, _ = run(tmp_path, benchmarks["measures"])
    words = (
        f"{len(os.sched_getaffinity(0))} cores",
        "GiB of memory",
        "Linux ",
        "Python 3.",
        "load ",
        "commit ",
        " UTC",
    )
    assert [word for word in words if word not in report.text] == []


def test_the_last_table_is_put_between_the_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    page, last = tmp_path / "README.md", tmp_path / "table.md"
    page.write_text("Before\n\n<!-- benchmarks -->\nold\n<!-- end: benchmarks -->\nAfter \\1\n")
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(complete_run, "TABLE", last)
    assert bench.main(["--write-readme"]) == 1
    assert "run scripts/bench first" in capsys.readouterr().err
    last.write_text("new \\1 text\n")
    assert bench.main(["--write-readme"]) == 0
    expected = "Before\n\n<!-- benchmarks -->\nnew \\1 text\n<!-- end: benchmarks -->\nAfter \\1\n"
    assert page.read_text() == expected


def test_a_readme_without_markers_is_not_changed(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("Nothing here\n")
    with pytest.raises(readme.NoPlace):
        readme.write("new\n", page)
    assert page.read_text() == "Nothing here\n"


def test_the_help_names_every_benchmark(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--help"])
    text = capsys.readouterr().out
    assert [one.name for one in BENCHMARKS if one.name not in text] == []


def test_a_name_that_does_not_exist_is_refused() -> None:
    command = [sys.executable, "-m", "scripts.benchmarks", "no_such_benchmark"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no_such_benchmark" in done.stderr


def test_a_name_starts_its_command() -> None:
    command = [sys.executable, "-m", "scripts.benchmarks", "render_cuts", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "usage: scripts/bench render_cuts" in done.stdout


@pytest.mark.slow
def test_the_broker_without_other_brokers_has_rows_and_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_rows, "SIZES", Sizes(3, 0.1, 40, 0, 0, 60, 5, 20.0, 0.0))
    monkeypatch.setattr("scripts.benchmarks.broker.candidates.program", lambda _: None)
    lines = list(broker_rows.rows(tmp_path))
    skipped = [line for line in lines if isinstance(line, NotMeasured)]
    assert [line.what.split()[-1] for line in skipped] == ["Redis", "RabbitMQ", "PostgreSQL"]
    assert len(lines) - len(skipped) == len(broker_rows.SHOWN)
