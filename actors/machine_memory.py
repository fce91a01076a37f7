"""The memory that this machine, or its control group, still has for media work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from actors import control_groups

KIB = 1024
# The files of a group for its limit and its usage, and the counts of file pages: in version 2 and 1.
UNIFIED_NAMES = ("memory.max", "memory.current", ("active_file", "inactive_file"))
LEGACY_NAMES = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))


def free_bytes(root: Path = Path("/")) -> int:
    """Return how much more memory processes may hold, if all file pages were dropped.

    Args:
        root: of the file systems proc and sys.
    """
    machine = _table(root / "proc/meminfo")["MemAvailable"] * KIB
    return min([machine, *(limit - held for limit, held in _groups(root))])


def limit_bytes(root: Path = Path("/")) -> int:
    """Return the memory of this machine, or the limit of its control group if that is less.

    Args:
        root: of the file systems proc and sys.
    """
    machine = _table(root / "proc/meminfo")["MemTotal"] * KIB
    return min([machine, *(limit for limit, _ in _groups(root))])


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """Yield, for each control group that this process is in, its limit and what it holds beside file pages."""
    for folder, is_unified in control_groups.folders(root, "memory"):
        names = UNIFIED_NAMES if is_unified else LEGACY_NAMES
        with contextlib.suppress(OSError, ValueError, KeyError):  # no such group, or no limit ("max")
            yield _group(folder, *names)


def _group(folder: Path, limit: str, usage: str, file_pages: tuple[str, str]) -> tuple[int, int]:
    limited = int((folder / limit).read_text())
    stat = _table(folder / "memory.stat")
    return limited, int((folder / usage).read_text()) - sum(stat[name] for name in file_pages)


def _table(path: Path) -> dict[str, int]:
    """Return the numbers of a file with a name and a number in each line."""
    lines = [line.replace(":", " ").split() for line in path.read_text().splitlines()]
    return {words[0]: int(words[1]) for words in lines}
