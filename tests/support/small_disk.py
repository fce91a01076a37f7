"""A real file system that a test can fill: a tmpfs of some megabytes."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors import wiring
from actors.disk import Sizes
from actors.machine import Machine
from scripts.fault_injection.small_disk import FILLER, SmallDisk, mounted

SHARED_MEMORY = Path("/dev/shm")  # containers have a small file system there: 64 MB in Docker
MAX_SHARED_BYTES = 512 * 2**20  # a larger one is the machine's memory, which must not be filled


SIZES = Sizes(ballast_bytes=8 * 2**20, headroom_bytes=8 * 2**20, floor_bytes=4 * 2**20, release_bytes=2 * 2**20)
"""Thresholds for a disk of 40 MB."""

DISK_BYTES = 40 * 2**20


@contextmanager
def small_disk(parent: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs below a directory; without the right to, take the small one of the container.

    Skips the test if there is neither.
    """
    mount = parent / f"small-{secrets.token_hex(4)}"
    mount.mkdir()
    with mounted(mount, size_bytes) as made:
        if made is not None:
            yield made
            return
    found = os.statvfs(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
    free_bytes = found.f_bavail * found.f_frsize if found else 0
    if found is None or not size_bytes <= free_bytes or found.f_blocks * found.f_frsize > MAX_SHARED_BYTES:
        pytest.skip("a small file system is missing: no right to mount a tmpfs, and /dev/shm is no small one")
    directory = SHARED_MEMORY / mount.name
    directory.mkdir(mode=0o700)
    try:
        disk = SmallDisk(directory)
        disk.fill(leave_bytes=size_bytes)  # the rest counts as the disk's other content
        (directory / FILLER).rename(SHARED_MEMORY / f"{mount.name}-rest")
        yield disk
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        (SHARED_MEMORY / f"{mount.name}-rest").unlink(missing_ok=True)


@contextmanager
def machine_on(disk: SmallDisk) -> Iterator[Machine]:
    """Yield a machine with its SQLite file on a small disk; its actors are those of this process."""
    built = wiring.build(os.environ | {"DATA_DIR": str(disk.path), "DATABASE_URL": ""})
    for actor in wiring.machine.broker.actors.values():
        built.broker.declare_queue(actor.queue_name)
        built.broker.actors[actor.actor_name] = actor
    built.disk.sizes = SIZES
    built.store.migrate()
    try:
        yield built
    finally:
        disk.clear()
        built.broker.close()
        built.store.close()
