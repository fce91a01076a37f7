"""Complete files are accepted with any bytes around their samples, and truncated ones are recognised."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from media.process import runner
from tests.media import films
from tests.media.container import container_cases

PROJECT = Path(runner.__file__).resolve().parents[2]
SEED = 20_261_128
BATCHES = int(os.environ.get("BATCHES", "3"))  # of 200 cases each; after a change of media/reading/, try BATCHES=50
SPLIT_EVERY = 10  # one in so many cases is also rendered
# Many files in one process, because starting one takes half a second; a crash shows in the exit code and last line.
MANY = """
import json, sys, traceback
from pathlib import Path
from media.process import sandbox
sandbox.enter(sandbox.Limits(memory_bytes=1 << 30, cpu_s=400), sandbox.FileAccess(create=[Path(sys.argv[1])]))
from media.errors import Refused
from media.reading.inspection import inspect
from media.writing.render import render
for path in sorted(Path(sys.argv[1]).glob("*.bin")):
    print(json.dumps({"name": path.name}), flush=True)
    said = {}
    try:
        found = inspect(path)
        said = {"seconds": found.facts.duration_s, "warnings": found.facts.warnings}
        if path.with_suffix(".split").exists():
            whole = found.timeline.grid()
            half = whole.total // 2
            for name, first, frames in (("1", 0, half), ("2", half, whole.total - half)):
                render(path, path.with_suffix(f".{name}.mp4"), span=found.timeline.span(whole, first, frames))
    except Refused as refusal:
        said["refused"] = f"{refusal.code}: {refusal.detail}"
    except Exception as error:
        said["error"] = traceback.format_exc()
    print(json.dumps(said), flush=True)
print("done")
"""


def run_cases(folder: Path, cases: list[container_cases.Case]) -> list[dict[str, Any]]:
    for number, case in enumerate(cases):
        (folder / f"{number:05d}.bin").write_bytes(case.data)
        if number % SPLIT_EVERY == 0 and not case.is_cut:
            (folder / f"{number:05d}.split").touch()
    command = [sys.executable, "-c", MANY, str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    lines = done.stdout.splitlines()
    said = [json.loads(line) for line in lines[1:-1:2]]
    assert lines[-1:] == ["done"], (done.returncode, cases[len(lines) // 2 - 1].name, done.stderr[-2000:])
    return said


def wrong(case: container_cases.Case, said: dict[str, Any], halves: tuple[Path, Path]) -> str | None:
    """Return what is wrong with the result of a case, or None."""
    if "error" in said:
        return str(said["error"])
    refusal = said.get("refused")
    if case.is_cut:
        return wrong_about_a_cut(case, said)
    if refusal:
        return f"refused: {refusal}"
    if abs(said["seconds"] - case.seconds) > 0.1:
        return f"lasts {said['seconds']} s"
    if said["warnings"] and "end_missing" in said["warnings"]:
        return "said to break off"
    return wrong_in_the_halves(case, *halves) if halves[0].exists() else None


def wrong_in_the_halves(case: container_cases.Case, first: Path, second: Path) -> str | None:
    copies = films.read(first), films.read(second)
    numbers = copies[0].numbers + copies[1].numbers
    if tuple(dict.fromkeys(numbers)) != case.shown:
        return f"shows {numbers}"
    if len(numbers) != len(case.shown) or not len(copies[0].sound):
        return None  # held pictures: the sound lies elsewhere, too
    for copy in copies:
        begins = copy.numbers[0] * films.SOUND_RATE // container_cases.RATE
        original = films.noise(container_cases.SECONDS)[begins : begins + films.SOUND_RATE]
        if abs(films.lag_of(copy.sound[: films.SOUND_RATE], original)) > case.priming:
            return f"sounds {films.lag_of(copy.sound[: films.SOUND_RATE], original)} samples late"
    return None


def wrong_about_a_cut(case: container_cases.Case, said: dict[str, Any]) -> str | None:
    refusal = said.get("refused")
    if refusal:
        is_true = refusal.startswith(("truncated", "damaged", "too_short"))
        return None if is_true else f"refused: {refusal}"
    is_enough = said["seconds"] >= case.seconds - container_cases.MISSING_S
    if not is_enough and case.has_declared_length:
        return f"accepted with {said['seconds']} of {case.seconds} s"
    return None


@pytest.fixture(scope="session")
def builder(clip_dir: Path) -> container_cases.CaseBuilder:
    """Return the builder of all cases; it encodes each stream once a session."""
    folder = clip_dir / "cases"
    folder.mkdir()
    return container_cases.CaseBuilder(folder)


def run_many(count: int, builder: container_cases.CaseBuilder, folder: Path, seed: int) -> None:
    cases = [builder.case(seed + number) for number in range(count)]
    batch = folder / "batch"
    batch.mkdir()
    found = []
    for number, (case, said) in enumerate(zip(cases, run_cases(batch, cases), strict=True)):
        if problem := wrong(case, said, (batch / f"{number:05d}.1.mp4", batch / f"{number:05d}.2.mp4")):
            found.append(f"{case.name}: {problem}")
    assert found == [], "\n".join(found)
    assert len(list(batch.glob("*.1.mp4"))) == len(list(batch.glob("*.split"))) > 0, "the halves were rendered"


def test_files_are_judged_by_their_samples(builder: container_cases.CaseBuilder, tmp_path: Path) -> None:
    run_many(200, builder, tmp_path, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_hundreds_of_files_are_judged_by_their_samples(
    batch: int, builder: container_cases.CaseBuilder, tmp_path: Path
) -> None:
    run_many(200, builder, tmp_path, SEED + 1000 * (batch + 1))
