"""The processes that descend from one, also those whose parents have exited since."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

Process = tuple[int, int]  # pid and start time: the kernel reuses pids


class ProcessTree:
    """A process and its descendants, now or at an earlier call.

    Services do not let others of their user read their environment, so the environment does not identify them.
    """

    def __init__(self, root_pid: int, marker: str) -> None:
        """Prepare.

        Args:
            root_pid: of the first process.
            marker: processes with this text in their command line belong to the tree, too.
        """
        self._root_pid = root_pid
        self._marker = marker
        self._seen: set[Process] = set()

    def processes(self) -> dict[int, str]:
        """Return the pids of the living processes with their command lines."""
        table = dict(_process_table())
        known = {process for process in table if self._descends(process, table) or process in self._seen}
        self._seen |= known
        lines = {process: table[process][1] for process in table}
        return {
            pid: lines[pid, start] for pid, start in table if (pid, start) in known or self._marker in lines[pid, start]
        }

    def _descends(self, process: Process, table: dict[Process, tuple[int, str]]) -> bool:
        by_pid = {pid: (pid, start) for pid, start in table}
        at: Process | None = process
        while at is not None:
            if at[0] == self._root_pid or at in self._seen:
                return True
            at = by_pid.get(table[at][0])
        return False


def _process_table() -> Iterator[tuple[Process, tuple[int, str]]]:
    """Yield all other living processes: pid and start time, the parent's pid, the command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            except OSError:
                continue  # it is gone
            if line:  # a zombie has none
                yield (int(entry.name), int(fields[19])), (int(fields[1]), line)
