"""CPU time and memory of processes, from the kernel."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_s", "family", "pss_mib"]


def family(pid: int) -> set[int]:
    """Return the ids of a process and of all its descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # the process has ended
            continue
        parents[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_s(pids: set[int]) -> dict[int, float]:
    """Return the CPU seconds that processes have used so far, to the microsecond, without those that have ended."""
    used_s = {}
    for pid in pids:
        with suppress(OSError):  # RabbitMQ starts processes that end soon
            # The clock id of another process's CPU time, as clock_getcpuclockid(3) makes it.
            used_s[pid] = time.clock_gettime((~pid << 3) | 2)
    return used_s


def pss_mib(pids: set[int]) -> float:
    """Return the memory of processes in MiB (PSS: shared pages are counted in proportion), without those that ended."""
    kib = 0
    for pid in pids:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return kib / 1024
