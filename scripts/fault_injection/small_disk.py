"""A small file system that can be filled: a tmpfs of some megabytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILLER = "filler"
PAGE_BYTES = 4096


class SmallDisk:
    """A directory on a small file system."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def free_bytes(self) -> int:
        """Return the bytes that are left."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Let another program's file take the room of this moment, but for some bytes.

        Room that becomes free meanwhile stays free, as that of a released ballast file.
        """
        wanted, step = max(0, self.free_bytes - leave_bytes), 2**20
        with (self.path / FILLER).open("ab") as file:
            while wanted > 0 and step >= PAGE_BYTES:
                step = min(step, wanted)
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                    wanted -= step
                except OSError:  # others write, too
                    step //= 2

    def clear(self, free_bytes: int | None = None) -> None:
        """Delete that file, or give back so many of its bytes."""
        filler = self.path / FILLER
        if free_bytes is None:
            filler.unlink(missing_ok=True)
        else:
            os.truncate(filler, filler.stat().st_size - free_bytes)


@contextmanager
def mounted(mount: Path, size_bytes: int) -> Iterator[SmallDisk | None]:
    """Mount a tmpfs on a directory for the length of a block; yield None without the right to."""
    options = f"size={size_bytes},mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield SmallDisk(mount)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
