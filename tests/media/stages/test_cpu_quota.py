"""A part on a machine that gives a share of a core: its deadline decides how it is made, and its facts say so."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media.gaze.__main__ import parser
from media.gaze.time_budget import TimeBudget
from media.stages import gaze
from tests.media import films
from tests.support.cpu_quota import cpu_quota

ROOT = Path(__file__).resolve().parents[3]
SHARE = 0.5
FRAMES = 240


@pytest.fixture(scope="session")
def full_hd(clip_dir: Path) -> Path:
    """Eight seconds without a face: faces are searched in every frame."""
    return films.write(clip_dir / "full-hd.mp4", films.at_rate(30, FRAMES), size=(1920, 1080))


def _render(source: Path, target: Path, group: Path, deadline_s: float) -> dict[str, Any]:  # Any: JSON
    options = ["--zero=null", "--json", "--deadline", str(deadline_s)]
    command = [sys.executable, "-m", "media.gaze", str(source), str(target), *options]
    joined = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *command]
    done = subprocess.run(joined, cwd=ROOT, capture_output=True, text=True, timeout=500, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["result"]
    return result


@pytest.mark.slow
def test_half_a_core_costs_no_quality_before_a_deadline_is_near(full_hd: Path, tmp_path: Path) -> None:
    with cpu_quota(SHARE) as group:
        usual = _render(full_hd, tmp_path / "usual.mp4", group, 3600)
        pace = usual["rendering"]["pace"]
        near_s = 0.6 * pace["took_s"]
        hurried = _render(full_hd, tmp_path / "hurried.mp4", group, near_s)
    assert (pace["steps"], "time_short" in usual["gaze"]["reasons"]) == ([], False)
    assert pace["core_share"] < 1.1 * SHARE
    assert hurried["rendering"]["pace"]["steps"] != []
    assert hurried["rendering"]["pace"]["took_s"] < pace["took_s"]
    assert hurried["rendering"]["pace"]["deadline_s"] == pytest.approx(near_s)
    assert (FRAMES, FRAMES) == (usual["frames"], hurried["frames"])


@pytest.fixture
def second_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every frame take a second of time and of CPU time, and a smaller picture next to nothing."""
    build = gaze._budget

    def build_with_ticks(*arguments: Any) -> TimeBudget:  # Any: as of the function
        seconds, cpu_seconds = itertools.count(), itertools.count()
        budget = build(*arguments)
        return replace(budget, clock=lambda: float(next(seconds)), cpu_clock=lambda: float(next(cpu_seconds)))

    monkeypatch.setattr(gaze, "_budget", build_with_ticks)
    monkeypatch.setattr(gaze, "SMALLER_COST", 0.01)


@pytest.mark.usefixtures("second_a_frame")
def test_a_part_that_is_begun_anew_is_smaller_and_complete(full_hd: Path, tmp_path: Path) -> None:
    """The landmarks are found anew, too: what was known of the larger picture is of no use."""
    beside = ["--report", str(tmp_path / "r.json"), "--cover", str(tmp_path / "c.jpg"), "--zero=null"]
    options = parser().parse_args([str(full_hd), str(tmp_path / "o.mp4"), "--deadline", "150", *beside])
    result = gaze.correct(options, lambda _: None)
    assert (1280, 720, FRAMES) == (result["width"], result["height"], result["frames"])
    assert ["smaller_picture", "fewer_measured", "without_correction"] == result["rendering"]["pace"]["steps"]
    assert FRAMES == len(json.loads((tmp_path / "r.json").read_text())["frames"])


@pytest.mark.usefixtures("second_a_frame")
def test_a_picture_that_is_small_already_is_not_begun_anew(mute: Path, tmp_path: Path) -> None:
    options = parser().parse_args([str(mute), str(tmp_path / "o.mp4"), "--deadline", "120", "--zero=null"])
    result = gaze.correct(options, lambda _: None)
    assert ["fewer_measured", "without_correction"] == result["rendering"]["pace"]["steps"]
    assert 200 == result["frames"]
