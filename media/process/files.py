"""Atomic writes: a file that exists under its name is complete."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside the target; at the end of the block, sync the file and rename it.

    The temporary name contains the process id, so two attempts at the same target never write to the same file; the
    last one to finish replaces the other's file. An exception removes the temporary file. Temporary files that killed
    processes left for this target are removed first.
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


def remove_temporary_files(folder: Path, pid: int) -> None:
    """Remove the temporary files that an ended process left in a folder."""
    for temporary in folder.glob(f".*.{pid}.part"):
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
