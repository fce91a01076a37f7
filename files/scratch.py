"""Scratch: local copies of stored files, and a place for files that are being written. All of it can be deleted.

A copy is sparse: it has the size of its file, and only the blocks that were fetched. `blocks` beside it has a byte for
each block, which is set after the bytes are there. Processes share the copies. A process that uses one has a shared
lock on its folder; only what nobody uses is evicted, the longest unused first.

    SCRATCH/<hash>/data, blocks      a copy
    SCRATCH/work-<random>/           files that are being written, with an exclusive lock
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from files.errors import TryLater

BLOCK_BYTES = 8 * 2**20  # the size of the pieces of an uploaded video: each is one request
WORK_PREFIX = "work-"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNIT_BYTES = 512  # of `st_blocks`


@dataclass(frozen=True)
class Copy:
    """A local copy of a file, complete or in part."""

    folder: Path
    size_bytes: int

    @property
    def path(self) -> Path:
        """The path of the copy's bytes."""
        return self.folder / "data"

    @property
    def marks(self) -> Path:
        """The path of the file with a byte for each block."""
        return self.folder / "blocks"

    def missing(self, first: int = 0, last: int | None = None) -> list[int]:
        """Return the numbers of the blocks between two bytes (inclusive), by default of all, that were not fetched."""
        fetched = self.marks.read_bytes()
        end = len(fetched) if last is None else last // BLOCK_BYTES + 1
        return [number for number in range(first // BLOCK_BYTES, end) if not fetched[number]]

    def bounds(self, block: int) -> tuple[int, int]:
        """Return the first and the last byte of a block."""
        return block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, self.size_bytes) - 1

    def fill(self, block: int, content: Iterable[bytes]) -> None:
        """Write a block.

        Raises:
            TryLater: the content is shorter or longer than the block.
        """
        first, last = self.bounds(block)
        position = first
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            for piece in content:
                position += _write_all(descriptor, piece, position, last + 1)
        finally:
            os.close(descriptor)
        if position != last + 1:
            raise TryLater(self.folder.name, f"got {position - first} bytes of {last + 1 - first}")
        self._mark(block)

    def _mark(self, block: int) -> None:
        descriptor = os.open(self.marks, os.O_WRONLY)
        try:
            os.pwrite(descriptor, b"\1", block)
        finally:
            os.close(descriptor)


class Scratch:
    """The scratch directory of a machine, shared by its processes."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        """Use a directory, which need not exist yet.

        Args:
            directory: absolute; nothing else may be in it.
            limit_bytes: that all files in it may take.
        """
        self._directory = directory
        self._limit_bytes = limit_bytes

    @contextmanager
    def copy(self, name: str, size_bytes: int) -> Iterator[Copy]:
        """Yield the copy of a file, which is not evicted during the block.

        Args:
            name: of the file's version, unique in the storage.
            size_bytes: of the file.
        """
        folder = self._directory / _hashed(name)
        with self._locked_folder(folder, lambda: _create(folder, size_bytes)):
            os.utime(folder)
            yield Copy(folder, size_bytes)

    def take_over(self, name: str, path: Path) -> None:
        """Make a local file the complete copy of what was stored from it; the path is gone afterwards."""
        size_bytes = path.stat().st_size
        try:
            self.make_room(size_bytes)
            with self.copy(name, size_bytes) as made:
                path.rename(made.path)
                made.marks.write_bytes(b"\1" * _block_count(size_bytes))
        except OSError:  # no room, or another file system: it is fetched when it is needed
            path.unlink(missing_ok=True)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Yield an empty folder, which is deleted after the block."""
        folder = self._directory / f"{WORK_PREFIX}{secrets.token_hex(8)}"
        with self._locked_folder(folder, lambda: folder.mkdir(parents=True), fcntl.LOCK_EX):
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def reserve(self, copy: Copy, blocks: Iterable[int]) -> None:
        """Make room for blocks of a copy, and allocate them.

        Raises:
            TryLater: there is no room: other copies are in use.
        """
        with self._exclusive():
            wanted = [copy.bounds(block) for block in blocks]
            self._evict(sum(last - first + 1 for first, last in wanted))
            descriptor = os.open(copy.path, os.O_WRONLY)
            try:
                for first, last in wanted:
                    os.posix_fallocate(descriptor, first, last - first + 1)
            except OSError as error:
                raise TryLater("", f"the scratch directory: {error.strerror}") from error
            finally:
                os.close(descriptor)

    def make_room(self, size_bytes: int) -> None:
        """Evict copies until there is room.

        Raises:
            TryLater: there is no room: copies are in use.
        """
        with self._exclusive():
            self._evict(size_bytes)

    def _evict(self, size_bytes: int) -> None:
        _remove_unused(self._directory.glob(f"{WORK_PREFIX}*"))
        copies = [path for path in self._directory.iterdir() if path.is_dir() and not _is_work(path)]
        copies.sort(key=_last_use)
        used = _used_bytes(self._directory)
        while used + size_bytes > self._limit_bytes:
            if not copies:
                raise TryLater("", f"SCRATCH_SIZE has no room for {size_bytes} bytes beside what is in use")
            used -= _remove_unused([copies.pop(0)])

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked_folder(self, folder: Path, make: Callable[[], None], lock: int = fcntl.LOCK_SH) -> Iterator[None]:
        """Make a folder if it is missing, and hold a lock on it."""
        with contextlib.ExitStack() as stack:
            with self._exclusive():  # no folder is evicted between its making and its lock
                if not folder.exists():
                    make()
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, lock)
            yield


def _hashed(name: str) -> str:
    # After a power cut the marks may be there without the bytes, so nothing is used after another boot.
    boot = _BOOT_ID.read_text() if _BOOT_ID.exists() else ""
    return hashlib.sha256(f"{boot}\0{name}".encode()).hexdigest()[:32]


def _create(folder: Path, size_bytes: int) -> None:
    draft = folder.with_name(f"{WORK_PREFIX}{folder.name}-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / "blocks").write_bytes(bytes(_block_count(size_bytes)))
    with (draft / "data").open("wb") as file:
        file.truncate(size_bytes)
    draft.rename(folder)


def _block_count(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES)


def _is_work(path: Path) -> bool:
    return path.name.startswith(WORK_PREFIX)


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _used_bytes(directory: Path) -> int:
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * _UNIT_BYTES  # noqa: PTH118 (many files)
    return total


def _remove_unused(folders: Iterable[Path]) -> int:
    """Remove folders that no process has locked; return the bytes that this has freed."""
    freed = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                size_bytes = _used_bytes(folder)
                shutil.rmtree(folder)
                freed += size_bytes
            finally:
                os.close(descriptor)
    return freed


def _write_all(descriptor: int, piece: bytes, position: int, end: int) -> int:
    """Write a piece at a position, at most up to the end of its block; return its length."""
    if position + len(piece) > end:
        raise TryLater("", "the storage has sent more than was asked for")
    view = memoryview(piece)
    while view:
        written = os.pwrite(descriptor, view, position)
        position, view = position + written, view[written:]
    return len(piece)
