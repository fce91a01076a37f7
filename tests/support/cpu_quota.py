"""A control group (cgroups(7)) of version 1 or 2 whose processes get a share of one core."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 80_000  # as on Fly.io


@contextmanager
def cpu_quota(core_share: float) -> Iterator[Path]:
    """Make a group, yield its folder, and remove it when its processes have ended; skip where that is not allowed."""
    is_unified = (ROOT / "cgroup.controllers").exists()
    folder = (ROOT if is_unified else ROOT / "cpu") / f"vidprod-test-{os.getpid()}-{time.monotonic_ns()}"
    try:
        if is_unified:
            with contextlib.suppress(OSError):  # on already
                (ROOT / "cgroup.subtree_control").write_text("+cpu")
        folder.mkdir()
        if is_unified:
            (folder / "cpu.max").write_text(f"{round(core_share * PERIOD_US)} {PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(round(core_share * PERIOD_US)))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no right to limit the CPU time of a control group: {error}")
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(100):  # a process that has exited leaves its group a moment later
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return
