"""The machine on which benchmarks are measured, in words."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["FOLDER", "ROOT", "Environment", "current"]

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "build" / "bench"  # for tables, logs and the packages of others


@dataclass(frozen=True, slots=True)
class Environment:
    """Machine, time and version of a run."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    moment: str
    commit: str
    load_before: float  # processes that ran or waited, on average over the last minute

    def text(self) -> str:
        """Return one sentence."""
        return (
            f"Measured on {self.moment} at {self.commit}: {self.processor}, {self.cores} cores, "
            f"{self.memory_gib:.0f} GiB of memory, Linux {self.kernel}, Python {self.python}, "
            f"load {self.load_before:.1f} before the run"
        )


def current() -> Environment:
    """Return the present machine, time and version."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Environment(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=memory_bytes / 2**30,
        kernel=platform.release(),
        python=platform.python_version(),
        moment=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_commit(),
        load_before=os.getloadavg()[0],
    )


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return " ".join(found[1].split()) if found else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return "an unknown commit"
    return f"commit {done.stdout.strip()}"
