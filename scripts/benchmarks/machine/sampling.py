"""Samples the memory of a control group and of its processes while something runs."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.machine.control_group import ControlGroup, MemoryCounts

INTERVAL_S = 0.1
KIB = 1024


@dataclass(frozen=True)
class ProcessMemory:
    """The memory of one process, in bytes."""

    pid: int
    name: str
    rss: int
    pss: int  # shared pages are divided by the number of processes that share them
    anonymous_pss: int
    threads: int


def process_memory(pid: int) -> ProcessMemory:
    """Return the memory of a process.

    Raises:
        OSError: it has ended.
    """
    sizes = {
        name: int(value.split()[0]) * KIB
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        for name, _, value in [line.partition(":")]
    }
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return ProcessMemory(pid, service_name(pid), sizes["Rss"], sizes["Pss"], sizes.get("Pss_Anon", 0), threads)


def service_name(pid: int) -> str:
    """Return the module that a process runs, and its process number."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    module = words[words.index("-m") + 1] if "-m" in words else words[0]
    return f"{module} {pid}"


@dataclass(frozen=True)
class Activity:
    """The CPU time and the wake-ups of a process since its start."""

    cpu_s: float
    wakeups: int  # of all its threads


def activity(pid: int) -> Activity:
    """Return what a process has done.

    Raises:
        OSError: it has ended.
    """
    cpu_ns, wakeups = 0, 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        cpu_ns += int((task / "schedstat").read_text().split()[0])
        status = (task / "status").read_text()
        wakeups += int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return Activity(cpu_ns / 1e9, wakeups)


class Sampler:
    """Samples a group in a thread until it is closed, and keeps the peaks."""

    def __init__(self, group: ControlGroup) -> None:
        self.begin: MemoryCounts = group.counts()
        self.peak_anonymous_bytes = 0
        self.peak_used_bytes = 0
        self.at_peak: list[ProcessMemory] = []  # by process, near the peak of anonymous memory
        self.peak_rss_bytes: dict[str, int] = {}  # by service
        self._group = group
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> MemoryCounts:
        """Stop; return the last counts."""
        self._over.set()
        self._thread.join()
        return self._group.counts()

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            counts = self._group.counts()
            self.peak_used_bytes = max(self.peak_used_bytes, counts.used_bytes)
            processes = processes_of(self._group)
            for one in processes:
                name = one.name.split()[0]
                self.peak_rss_bytes[name] = max(self.peak_rss_bytes.get(name, 0), one.rss)
            if counts.anonymous_bytes > self.peak_anonymous_bytes:
                self.peak_anonymous_bytes, self.at_peak = counts.anonymous_bytes, processes


def processes_of(group: ControlGroup) -> list[ProcessMemory]:
    """Return the memory of all processes of a group."""
    found = []
    for pid in group.processes():
        with contextlib.suppress(OSError, KeyError):  # it has ended
            found.append(process_memory(pid))
    return found
