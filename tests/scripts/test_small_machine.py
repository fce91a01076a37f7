"""A machine of 460 MiB, one core and no swap renders full HD with gaze correction while another upload arrives."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from scripts.machine.child import ROOT

IDLE_MIB = 140  # anonymous memory of all services at rest; measured: 118, and 132 after accounts were connected


@pytest.mark.slow
def test_a_small_machine_keeps_the_correction_and_kills_no_process() -> None:
    """The benchmark's own check; it needs the right to make control groups."""
    options = ["--no-copy", "--idle-s", "1", "--seconds", "4", "--directory", "/var/tmp"]  # not in memory
    command = [sys.executable, "-m", "scripts.benchmarks.machine", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "Not measured" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    [idle] = re.findall(r"Idle: anonymous ([0-9.]+) MiB", done.stdout)
    assert float(idle) < IDLE_MIB
