"""The memory that this machine, or its control group, still has for media work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

KIB = 1024


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
    """Yield, for each control group that this process is in, its limit and what it holds beside file pages.

    Inside a container, the path of the group may be the one outside, and its own group is mounted in the place of the
    root; so missing folders are left out. A kernel without control groups has no file that names them.
    """
    named = root / "proc/self/cgroup"
    lines = [line.split(":", 2) for line in named.read_text().splitlines()] if named.exists() else []
    for _, controllers, path in lines:
        if controllers == "":
            names = ("memory.max", "memory.current", ("active_file", "inactive_file"))
            mount = root / "sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            names = (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                ("total_active_file", "total_inactive_file"),
            )
            mount = root / "sys/fs/cgroup/memory"
        else:
            continue
        own = mount / path.lstrip("/")
        for folder in dict.fromkeys([own, *own.parents, mount]):
            if folder == mount or mount in folder.parents:
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
