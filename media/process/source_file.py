"""Opens the source of a stage; all modules of a child open it here, because its file may lack blocks.

Such a source (`media.process.block_server`) has a name that no file has. Its bytes are read through descriptors that
were opened before the sandbox was entered. Each read first looks for the mark of its block, and asks the parent for a
block that is missing. So no missing block is read as zeros, and a module that opens the name itself finds no file.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from media.process.protocol import BLOCK_NUMBER, ENV_SOURCE, FETCHED

BUFFER_BYTES = 1 << 15  # as libav reads files
MIN_DESCRIPTOR = 200  # above `files.SCRATCH_DESCRIPTOR`, below the sandbox's limit


class SourceLost(Exception):
    """The parent cannot fetch a block. It knows why, and kills this process."""


@dataclass
class _PartialSource:
    """The source of this process, of which some blocks may be missing. May be read in several threads."""

    name: Path
    block_bytes: int
    data: int  # descriptors
    marks: int
    channel: int
    size_bytes: int
    found: set[int] = field(default_factory=set)  # blocks; their marks stay
    lock: threading.Lock = field(default_factory=threading.Lock)

    def require(self, block: int) -> None:
        """Return when a block is there.

        Raises:
            SourceLost: it cannot be fetched.
        """
        if block in self.found:
            return
        with self.lock:
            if not self._is_marked(block):
                os.write(self.channel, BLOCK_NUMBER.pack(block))
                if os.read(self.channel, len(FETCHED)) != FETCHED or not self._is_marked(block):
                    raise SourceLost(f"block {block} of the source was not fetched")
            self.found.add(block)

    def _is_marked(self, block: int) -> bool:
        return os.pread(self.marks, 1, block) == b"\1"


_partial: _PartialSource | None = None


def attach() -> None:
    """Open the source that the parent describes if it lacks blocks; before the sandbox, which has no rule for it."""
    global _partial  # noqa: PLW0603  # one a process, like the variable that describes it
    if described := os.environ.get(ENV_SOURCE):
        _partial = _opened(json.loads(described))


def _opened(described: dict[str, Any]) -> _PartialSource:  # Any: JSON
    data, marks = (os.open(described[name], os.O_RDONLY | os.O_CLOEXEC) for name in ("data", "marks"))
    return _PartialSource(
        name=Path(described["name"]),
        block_bytes=described["block_bytes"],
        data=data,
        marks=marks,
        channel=fcntl.fcntl(described["channel"], fcntl.F_DUPFD_CLOEXEC, MIN_DESCRIPTOR),
        size_bytes=os.fstat(data).st_size,
    )


def is_partial(path: Path) -> bool:
    """Return whether a path is the name of a source that lacks blocks."""
    return _partial is not None and path == _partial.name


def open_source(path: Path) -> BinaryIO:
    """Open a source for reading."""
    if _partial is None or path != _partial.name:
        return path.open("rb")
    return io.BufferedReader(_PartialFile(_partial), BUFFER_BYTES)


def size_bytes(path: Path) -> int:
    """Return the size of a source."""
    return version(path)[0]


def version(path: Path) -> tuple[int, int, int]:
    """Return the size of a source, and what tells it from others: the time of its last change, and its inode.

    The bytes of one that lacks blocks are still written, but never changed: the time does not count.
    """
    if _partial is None or path != _partial.name:
        status = path.stat()
        return status.st_size, status.st_mtime_ns, status.st_ino
    return _partial.size_bytes, 0, os.fstat(_partial.data).st_ino


class _PartialFile(io.RawIOBase):
    """A reader of a source that lacks blocks; its position is its own."""

    def __init__(self, source: _PartialSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position: {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:  # Any: of the base class, any writable buffer
        """Read up to the end of the block at the position, at most."""
        view, source = memoryview(buffer).cast("B"), self._source
        block = self._position // source.block_bytes
        end = min(source.size_bytes, (block + 1) * source.block_bytes)
        wanted = min(len(view), end - self._position)
        if wanted <= 0:
            return 0
        source.require(block)
        count = os.preadv(source.data, [view[:wanted]], self._position)
        self._position += count
        return count
