"""A source of which no block is there at first; blocks come from a whole file on the same disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from media.process import source_file
from media.process.block_server import BlockServer


@dataclass
class LocalSource:
    """A `PartialSource` of a local file.

    Attributes:
        whole: the file.
        folder: of the copy; made here.
        block_bytes: size of a block.
        fetched: numbers of the blocks that were fetched, in order.
        before: called with the number of a block before it is fetched; may raise an error.
    """

    whole: Path
    folder: Path
    block_bytes: int = 4096
    fetched: list[int] = field(default_factory=list)
    before: Callable[[int], None] = lambda _block: None

    def __post_init__(self) -> None:
        size = self.whole.stat().st_size
        self.folder.mkdir()
        with self.data.open("wb") as file:
            file.truncate(size)
        self.marks.write_bytes(bytes(-(-size // self.block_bytes)))

    @property
    def name(self) -> Path:
        return self.folder / "partial"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def marks(self) -> Path:
        return self.folder / "marks"

    def fetch(self, block: int) -> None:
        self.before(block)
        self.fetched.append(block)
        with self.whole.open("rb") as whole, self.data.open("r+b") as data, self.marks.open("r+b") as marks:
            whole.seek(block * self.block_bytes)
            data.seek(block * self.block_bytes)
            data.write(whole.read(self.block_bytes))
            data.flush()
            marks.seek(block)
            marks.write(b"\1")


@contextmanager
def attached(source: LocalSource) -> Iterator[Path]:
    """Make a source that of this process, as in a child; yield its name."""
    with pytest.MonkeyPatch.context() as patch, BlockServer(source) as server:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setattr(source_file, "_partial", None)  # restored at the end
        source_file.attach()
        server.start()
        yield source.name
        server.check()
