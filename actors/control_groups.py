"""Finds the folders of the control groups (cgroups(7)) of version 1 and 2 that this process is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def folders(root: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of a controller's groups, innermost first, and whether they are of version 2.

    Inside a container, the path of the group may be the one outside, and its own group is mounted in the place of the
    root; so a folder may be missing. A kernel without control groups has no file that names them.

    Args:
        root: of the file systems proc and sys.
        controller: "cpu" or "memory".
    """
    named = root / "proc/self/cgroup"
    lines = [line.split(":", 2) for line in named.read_text().splitlines()] if named.exists() else []
    for _, controllers, path in lines:
        is_unified = controllers == ""
        if not is_unified and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" if is_unified else root / "sys/fs/cgroup" / controller
        own = mount / path.lstrip("/")
        for folder in dict.fromkeys([own, *own.parents, mount]):
            if folder == mount or mount in folder.parents:
                yield folder, is_unified
