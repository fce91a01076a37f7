"""A machine of 460 MiB, one core and no swap renders full HD with gaze correction while another upload arrives."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from scripts.machine.child import ROOT

# Anonymous memory of all services at rest with three accounts. Measured 123.2 on a quiet machine (121.9 before the code
# of files, owners and fenced requests); on a busy one, or if the modules are compiled at this start, up to 127.
IDLE_MIB = 128


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.benchmarks.machine", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_small_machine_keeps_the_correction_and_kills_no_process() -> None:
    """The benchmark's own check; it needs the right to make control groups."""
    done = run("--no-copy", "--idle-s", "1", "--seconds", "4", "--directory", "/var/tmp")  # not in memory
    if "Not measured" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    [idle] = re.findall(r"Idle: anonymous ([0-9.]+) MiB", done.stdout)
    assert float(idle) < IDLE_MIB


def test_without_the_right_to_make_control_groups_nothing_is_measured() -> None:
    """These cores exist nowhere, so the group is refused, as it is where no group may be made."""
    done = run("--cores", "100000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Not measured: no control group")
    assert "missing" not in done.stdout  # a missing right is not a missing tool, and skips where all tools are
