"""Files that exist under their name only when they are whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Give a temporary name beside the target; when the block ends well, sync what was written and rename it.

    The name belongs to this process, so two attempts at the same target never write to the same file; the last one
    to finish wins, whole. An exception removes the file. What killed processes left for this target goes first.
    """
    for stale in target.parent.glob(f".{target.name}.*.part"):
        if not Path("/proc", stale.name.split(".")[-2]).exists():
            stale.unlink(missing_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, pid: int) -> None:
    """Remove what a process that is no more left half written in a folder."""
    for leftover in folder.glob(f".*.{pid}.part"):
        leftover.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
