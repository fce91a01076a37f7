"""The rows of the whole machine in the table of all benchmarks, beside the published minimum of another scheduler.

Postiz is a scheduler of posts that is hosted by its users, too; it does not process videos. Its documentation names 2
vCPU and 2 GB of memory as the supported minimum for light use, everything on one host
(docs.postiz.com/installation/system-requirements, section "Hardware", read 2026-11-29).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.summary.environment import ROOT
from scripts.benchmarks.summary.row import Goal, Line, NotMeasured, Row

__all__ = ["rows"]

POSTIZ, POSTIZ_MIB = "Postiz, published minimum for light use", 2e9 / 2**20
LIMIT_MIB = 460
IDLE_GOAL_MIB, IDLE_GOAL_PERCENT = 130 * 1e6 / 2**20, 0.5
IDLE, IDLE_SHARE = r"Idle: anonymous ([\d.]+) MiB", r"^  all +([\d.]+)% of a core"
PEAK, TOOK, KILLED = r"anonymous at the peak ([\d.]+) MiB", r"Rendered in ([\d.]+) s", r"(\d+) killed"
OPTIONS = ("--memory-mib", str(LIMIT_MIB), "--seconds", "6", "--idle-s", "20", "--no-copy")


def rows(folder: Path) -> Iterator[Line]:
    """Run the benchmark's own command once, and read its figures."""
    command = [sys.executable, "-m", "scripts.benchmarks.machine", *OPTIONS, "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="\n")
    if missing := re.search(r"Not measured: (.*)", done.stdout):
        yield NotMeasured(f"the whole machine in {LIMIT_MIB} MiB", missing[1])
        return

    def figure(pattern: str) -> float:
        found = re.search(pattern, done.stdout, re.M)
        if found is None:
            raise ValueError(f"the benchmark machine printed no figure like {pattern}")
        return float(found[1])

    yield Row("whole machine at rest: memory", figure(IDLE), "MiB", POSTIZ, POSTIZ_MIB, goal=Goal(IDLE_GOAL_MIB))
    yield Row("whole machine at rest: share of a core", figure(IDLE_SHARE), "%", goal=Goal(IDLE_GOAL_PERCENT))
    what = f"whole machine in {LIMIT_MIB} MiB without swap, full HD with gaze correction and another upload"
    yield Row(f"{what}: memory at the peak", figure(PEAK), "MiB", POSTIZ, POSTIZ_MIB, goal=Goal(LIMIT_MIB))
    yield Row(f"{what}: processes killed for memory", figure(KILLED), "", goal=Goal(0))
    reduced = float(done.returncode != 0)  # the exit code tells whether it was rendered in full
    yield Row(f"{what}: videos with less than full size and correction", reduced, "of 1", goal=Goal(0))
