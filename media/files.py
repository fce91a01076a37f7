"""Files that exist under their name only when they are whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Give a temporary name beside the target; when the block ends well, sync what was written and rename it.

    The name belongs to this process, so two attempts at the same target never write to the same file; the last one
    to finish wins, whole. An exception removes the file. A killed process leaves it: `leftovers` finds it.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def leftovers(folder: Path, pid: int) -> list[Path]:
    """Find what a process that was killed left behind in a folder."""
    return sorted(folder.glob(f".*.{pid}.part"))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
