"""Counts the CPU time that this machine was refused: by its control group's limit, and by its host."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from actors import control_groups

STEAL = 8  # field of a line of /proc/stat (proc(5)), counted from its name


@dataclass(frozen=True, slots=True)
class RefusedTime:
    """Seconds in which processes could not run, summed over the cores."""

    throttled_s: float  # by the CPU limit of a control group
    stolen_s: float  # by the host of a virtual machine, for its limit or for other machines

    def since(self, earlier: RefusedTime) -> RefusedTime:
        """Return the seconds between two counts."""
        return RefusedTime(self.throttled_s - earlier.throttled_s, self.stolen_s - earlier.stolen_s)

    def to_json(self) -> dict[str, float]:
        """Return the fields for the status document."""
        return {"throttled_s": round(self.throttled_s, 1), "stolen_s": round(self.stolen_s, 1)}


def refused(root: Path = Path("/")) -> RefusedTime:
    """Return the seconds since the machine and its control groups were started; what the kernel does not count is 0.

    Args:
        root: of the file systems proc and sys.
    """
    return RefusedTime(throttled_s=max(_throttled_s(root), default=0.0), stolen_s=_stolen_s(root))


def _stolen_s(root: Path) -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        total = (root / "proc/stat").read_text().split("\n", 1)[0].split()
        return int(total[STEAL]) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _throttled_s(root: Path) -> Iterator[float]:
    """Yield the seconds of each control group that this process is in; a limit above counts for all below it."""
    for folder, is_unified in control_groups.folders(root, "cpu"):
        name, scale = ("throttled_usec", 1e-6) if is_unified else ("throttled_time", 1e-9)
        with contextlib.suppress(OSError, ValueError, KeyError):  # no such group, or no limit
            lines = (folder / "cpu.stat").read_text().splitlines()
            yield int(dict(line.split() for line in lines)[name]) * scale
