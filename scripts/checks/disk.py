"""Checks of the disk of the data: room, kind of file system, what it supports, and how fast it syncs."""

from __future__ import annotations

import fcntl
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from actors.disk import Disk
from actors.flow import disk_demand
from scripts.checks.finding import Examined, Finding, error, ok, warning

NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "lustre", "afs", "beegfs", "fuse.", "virtiofs", "gpfs")
VOLATILE = {
    "tmpfs": "memory, so everything is lost at a restart",
    "ramfs": "memory, so everything is lost at a restart",
}
LAYERED = {"overlay", "aufs"}
MOUNTS = Path("/proc/self/mountinfo")
SYNCS, SLOW_SYNC_S = 10, 0.1
FEW_INODES = 1000
TOPIC = "disk"


def check(examined: Examined) -> Iterator[Finding]:
    """Check the disk of the data directory, which exists, and that of the backups."""
    directory = examined.settings.data_dir.resolve()
    yield _mode(directory)
    yield from _room(examined, directory)
    yield kind(file_system(directory))
    if os.access(directory, os.W_OK):
        yield from _features(directory)
    if not examined.settings.is_postgresql:
        yield from _backup_directory(examined, directory)


def _mode(directory: Path) -> Finding:
    mode = directory.stat().st_mode & 0o777
    if mode & 0o077:
        return warning(TOPIC, f"{directory} can be opened by other users ({mode:o})", f"run: chmod 700 {directory}")
    return ok(TOPIC, f"{directory} is private")


def _room(examined: Examined, directory: Path) -> Iterator[Finding]:
    disk, found = Disk(directory), os.statvfs(directory)
    receives_uploads = "api" in examined.settings.services  # the others keep copies of files in S3, and few of them
    needed = examined.settings.max_upload_size + disk_demand.video_parts_bytes(examined.settings.max_upload_size)
    free = f"{disk.free_bytes / 1e6:.0f} MB are free"
    if found.f_flag & os.ST_RDONLY:
        yield error(TOPIC, "it is mounted read-only", "look at the kernel's log for errors, and mount it for writing")
    elif disk.free_bytes <= disk.sizes.headroom_bytes:
        yield error(TOPIC, f"full: {free}", "delete jobs, see lost+found (scripts/adopt), or enlarge the disk")
    elif receives_uploads and disk.room_bytes < needed:
        fix = f"free or add room, or make MAX_UPLOAD_SIZE smaller: the largest upload needs {needed / 1e6:.0f} MB"
        yield warning(TOPIC, f"{free}; the largest upload would be refused", fix)
    else:
        yield ok(TOPIC, free)
    if found.f_files and found.f_favail < FEW_INODES:
        yield error(TOPIC, f"only {found.f_favail} more files can be created", "delete small files of other programs")
    if examined.is_running and receives_uploads and not disk.has_ballast():
        fix = "free room: it is made again by itself"
        yield warning(TOPIC, "the ballast file is missing: the disk is full, or was", fix)


@dataclass(frozen=True)
class FileSystem:
    """The file system of a path."""

    kind: str
    mount: str


def file_system(path: Path, mounts: Path = MOUNTS) -> FileSystem:
    """Return the file system of an absolute path: that of the last mount on the way to it (proc(5), mountinfo)."""
    found = FileSystem("unknown", "/")
    for line in mounts.read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        mount = before.split()[4].encode().decode("unicode_escape")
        if path.is_relative_to(mount) and len(mount) >= len(found.mount):
            found = FileSystem(after.split()[0], mount)
    return found


def kind(found: FileSystem) -> Finding:
    """Check the kind of a file system."""
    if found.kind.startswith(NETWORK):
        fix = "use a local disk: the locks of SQLite and its shared memory do not work reliably over a network"
        return warning(TOPIC, f"{found.mount} is a network file system, or one of a program ({found.kind})", fix)
    if found.kind in VOLATILE:
        return warning(TOPIC, f"{found.mount} is memory ({found.kind})", "use a disk: everything is lost at a restart")
    if found.kind in LAYERED:
        fix = "mount a volume there: everything is deleted together with the container"
        return warning(TOPIC, f"{found.mount} is the writable layer of a container ({found.kind})", fix)
    return ok(TOPIC, f"file system {found.kind}, mounted at {found.mount}")


def _features(directory: Path) -> Iterator[Finding]:
    """Check a file without a name, locks, shared memory and the time of a sync."""
    with tempfile.TemporaryFile(dir=directory) as file:  # O_TMPFILE where there is one
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        file.write(b"\0" * mmap.PAGESIZE)
        file.flush()
        with mmap.mmap(file.fileno(), mmap.PAGESIZE) as memory:
            memory[0] = 1
        times_s = []
        for _ in range(SYNCS):
            started_s = time.monotonic()
            os.pwrite(file.fileno(), b"\1" * mmap.PAGESIZE, 0)
            os.fsync(file.fileno())
            times_s.append(time.monotonic() - started_s)
    median_s = statistics.median(times_s)
    text = f"locks and shared memory work; a sync takes {1000 * median_s:.1f} ms"
    if median_s > SLOW_SYNC_S:
        yield warning(TOPIC, text, "each change waits for one or two syncs; use a faster disk")
    else:
        yield ok(TOPIC, text)
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as failed:
        yield ok(TOPIC, f"no O_TMPFILE ({failed.strerror}); not needed")


def _backup_directory(examined: Examined, data: Path) -> Iterator[Finding]:
    directory = examined.settings.backup_dir
    if directory is None:
        fix = "set BACKUP_DIR to a directory on another disk, run scripts/backup regularly, or use Litestream"
        yield warning("backup", "none are scheduled", fix)
    elif not directory.is_dir():
        text = f"BACKUP_DIR {directory} does not exist yet; the first backup creates it"
        yield ok("backup", text)
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield error("backup", f"BACKUP_DIR {directory} cannot be written", "give it to VidProd's user")
    elif directory.stat().st_dev == data.stat().st_dev:
        yield warning("backup", f"BACKUP_DIR {directory} is on the disk of the data", "use a directory on another disk")
    else:
        yield ok("backup", f"BACKUP_DIR {directory} is on another disk")
