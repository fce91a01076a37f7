"""The table of all benchmarks: every benchmark has a row, and what is missing or fails is told."""

from __future__ import annotations

import importlib
import inspect
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.benchmarks import __main__ as bench
from scripts.benchmarks.broker import rows as broker_rows
from scripts.benchmarks.broker.candidates import CANDIDATES
from scripts.benchmarks.broker.environment import Sizes
from scripts.benchmarks.broker.figures import Results
from scripts.benchmarks.broker.measurements import RECOVERED
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


START_CHILD = """import os, subprocess, sys, time
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(sleeping, start_new_session=True)
    (Path(__file__).parent / "folder").write_text(str(folder))
    (Path(__file__).parent / "child").write_text(str(child.pid))"""
STAND_INS = {
    "fails": "raise RuntimeError('the <disk> is on fire')\n    yield",
    "fails_later": "yield Row('half', 1.0, 's')\n    raise RuntimeError('the second half is missing')",
    "dies": "import os\n    os._exit(3)\n    yield",
    "measures": "yield Row('length', 1.0, 'm', 'a yard', 0.9144, better='more')",
    "skips": "yield NotMeasured('width', 'no ruler')",
    "measures_nothing": "yield from ()",
    "hangs": f"{START_CHILD}\n    time.sleep(600)\n    yield",
    "dies_with_a_server": f"{START_CHILD}\n    os._exit(3)\n    yield",
}


# Imported by every process that has the folder on its path: the benchmarks are the stand-ins that a variable names.
REPLACEMENT = """
import os
from pathlib import Path
from scripts.benchmarks.summary import environment, registry

names = [name for name in os.environ["STAND_INS"].split(",") if name]
registry.PACKAGE = "stand_ins"
registry.BENCHMARKS = tuple(registry.Benchmark(name, name, 0, f"the stand-in {name}") for name in names)
registry.Benchmark.deadline_s = float(os.environ["DEADLINE_S"])
environment.FOLDER = Path(__file__).parent / "bench"
"""


@dataclass(frozen=True)
class CompleteRun:
    """Runs `scripts/bench` with stand-ins for the benchmarks."""

    folder: Path

    def start(self, *names: str, deadline_s: float = 300.0) -> subprocess.Popen[str]:
        """Start the command."""
        environ = os.environ | {"PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}", "STAND_INS": ",".join(names)}
        environ["DEADLINE_S"] = str(deadline_s)
        command = [sys.executable, "-m", "scripts.benchmarks"]
        return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)

    def run(self, *names: str, deadline_s: float = 300.0) -> tuple[int, str, list[list[str]]]:
        """Run the command; return its exit code, its output, and the cells below the table's head."""
        process = self.start(*names, deadline_s=deadline_s)
        text, _ = process.communicate()
        assert (self.folder / "bench" / "table.md").read_text(encoding="utf-8") == text.removesuffix("\n")
        return process.returncode, text, cells(text)[2:]

    def child(self) -> Path:
        """Return the folder of a process that the stand-in `hangs` has started, in /proc."""
        noted = self.folder / "stand_ins" / "child"
        wait_for(lambda: noted.exists() and noted.read_text(), "the child of the stand-in")
        return Path("/proc") / noted.read_text()


@pytest.fixture
def complete_run_of(tmp_path: Path) -> CompleteRun:
    """Write the stand-ins."""
    (tmp_path / "stand_ins").mkdir()
    imports = "from pathlib import Path\nfrom scripts.benchmarks.summary.row import NotMeasured, Row\n"
    for name, body in STAND_INS.items():
        (tmp_path / "stand_ins" / f"{name}.py").write_text(f"{imports}\n\ndef rows(folder):\n    {body}\n")
    (tmp_path / "sitecustomize.py").write_text(REPLACEMENT)
    return CompleteRun(tmp_path)


def test_a_failing_benchmark_is_a_line_and_the_others_run(complete_run_of: CompleteRun) -> None:
    chosen = ("fails", "dies", "fails_later", "measures_nothing", "measures")
    code, _, rows = complete_run_of.run(*chosen)
    assert code == 1
    assert [(row[1], row[2]) for row in rows] == [
        ("the stand-in fails", "failed: RuntimeError: the &lt;disk> is on fire"),
        ("the stand-in dies", "failed: exit code 3"),
        ("half (less is better)", "1 s"),
        ("the stand-in fails_later", "failed: RuntimeError: the second half is missing"),
        ("the stand-in measures_nothing", "failed: it measured nothing"),
        ("length (more is better)", "1 m"),
    ]


def test_a_missing_tool_is_a_line_and_no_failure(complete_run_of: CompleteRun) -> None:
    code, _, rows = complete_run_of.run("skips", "measures")
    assert code == 0
    assert rows[0][1:3] == ["width", "skipped: no ruler"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hangs", "dies_with_a_server"])
def test_no_process_and_no_file_of_a_benchmark_is_left(complete_run_of: CompleteRun, name: str) -> None:
    """Not even a server in a session of its own, whose parent had no time to stop it."""
    code, _, [row] = complete_run_of.run(name, deadline_s=15.0)
    assert code == 1
    assert row[2] == {"hangs": "failed: not finished after 15 s", "dies_with_a_server": "failed: exit code 3"}[name]
    assert not complete_run_of.child().exists()
    assert not Path((complete_run_of.folder / "stand_ins" / "folder").read_text()).exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_no_process(complete_run_of: CompleteRun, number: signal.Signals) -> None:
    process = complete_run_of.start("hangs")
    child = complete_run_of.child()
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    assert not child.exists()


def test_the_report_names_the_machine_and_the_versions(complete_run_of: CompleteRun) -> None:
    _, text, _ = complete_run_of.run("measures")
    cores = f"{len(os.sched_getaffinity(0))} cores"
    words = (cores, "GiB of memory", "Linux ", "Python 3.", "load ", "commit ", " UTC", "ffmpeg ", "waitress ")
    assert [word for word in words if word not in text] == []


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "at an unknown commit" in environment.current().text()


def test_the_table_of_the_readme_is_complete_and_well_formed() -> None:
    """After a new benchmark: run `scripts/bench`, then `scripts/bench --write-readme`."""
    text = readme.section()
    head, _, *rows = cells(text)
    assert head == list(HEAD)
    assert {len(row) for row in rows} == {len(HEAD)}
    assert {row[-1].strip("`") for row in rows} == {one.name for one in BENCHMARKS}
    assert [row for row in rows if not re.fullmatch(r"([\d.,]+|∞) ×|–", row[0])] == []
    assert re.match(r"Measured on \d{4}-\d\d-\d\d .* cores, .* load [\d.]+ before the run", text)


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


def test_a_kill_without_messages_in_flight_is_no_figure() -> None:
    """A worker that had nothing was "recovered" after 0 seconds."""
    results, [ours, other] = Results(), [one for one in CANDIDATES if one.key in {"ours-normal", "rabbitmq"}]
    results.add(ours.key, {RECOVERED: 0.01})
    results.add(other.key, {RECOVERED: 0.0})
    [shown] = [one for one in broker_rows.SHOWN if one.figure is RECOVERED]
    [line] = broker_rows.compared(shown, results, other, ours.title)
    assert isinstance(line, NotMeasured)
    assert line.reason == "no message was in flight at the kill"


@pytest.mark.slow
def test_the_broker_without_other_brokers_has_rows_and_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_rows, "SIZES", Sizes(3, 0.1, 40, 0, 0, 60, 5, 20.0, 0.0))
    monkeypatch.setattr("scripts.benchmarks.broker.candidates.program", lambda _: None)
    lines = list(broker_rows.rows(tmp_path))
    # With so few jobs it depends on the load whether a message is in flight at the kill; else that row has this reason.
    skipped = [line for line in lines if isinstance(line, NotMeasured) and "in flight" not in line.reason]
    assert [line.what.split()[-1] for line in skipped] == ["Redis", "RabbitMQ", "PostgreSQL"]
    assert len(lines) - len(skipped) == len(broker_rows.SHOWN)
