"""`Storage`: the contract of all storages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Protocol


@dataclass(frozen=True)
class StoredFile:
    """A file that is complete.

    Attributes:
        key: of the file.
        size_bytes: of the file.
        modified_at: when it became complete.
        version: differs from that of any other content under this key; letters, digits and "-".
    """

    key: str
    size_bytes: int
    modified_at: datetime
    version: str


@dataclass(frozen=True)
class PartialCopy:
    """A local copy of which only some blocks are there; others are zeros until they are fetched.

    Attributes:
        name: stands for the copy in a command line. There is no file with this path, so what does not know of the
            missing blocks fails instead of reading zeros.
        data: path of the bytes.
        marks: path of a file with a byte for each block: 1 if the block is there, and it stays there.
        block_bytes: size of a block; the last one may be shorter.
        fetch: fetches a block by its number, in any thread; raises `FilesError`.
    """

    name: Path
    data: Path
    marks: Path
    block_bytes: int
    fetch: Callable[[int], None]


@dataclass(frozen=True)
class UnfinishedUpload:
    """What the storage has of an upload that was being received.

    Attributes:
        record: what its receiver has told about it (`Transfer.keep_record`).
        read: returns its whole pieces in order, from the first on, without a gap; each is fetched when it is asked for.
    """

    record: bytes
    read: Callable[[], Iterator[bytes]]


def none_kept(key: str) -> bool:
    """Return False: no file is kept."""
    del key
    return False


class Transfer(Protocol):
    """The way of one upload into the storage."""

    def advance(self, safe_bytes: int) -> None:
        """Begin to store what has arrived and been synced up to a byte; does not wait."""
        ...

    def cut_off(self, size_bytes: int) -> None:
        """Drop the bytes from an offset on: others will take their place."""
        ...

    def keep_record(self, record: bytes) -> None:
        """Store beside the first piece what another machine needs to go on with the upload; does not wait."""
        ...

    def finish(self, path: Path, size_bytes: int) -> None:
        """Store what is missing; the file then exists under its key.

        Args:
            path: of the complete file.
            size_bytes: of the file.

        Raises:
            FilesError: it was not stored; what was is kept for another call.
        """
        ...

    def abandon(self) -> None:
        """Delete what was stored of an upload that will not be completed; does not wait."""
        ...


class Storage(Protocol):
    """Keeps files by key. A file that exists is complete.

    Raises:
        files.errors.FilesError: in all methods.
    """

    def borrow(self, key: str) -> AbstractContextManager[Path]:
        """Give a file a path on this machine during a block.

        Raises:
            Gone: in the block or before it, if there is no such file.
        """
        ...

    def borrow_partly(self, key: str) -> AbstractContextManager[Path | PartialCopy]:
        """Give a file a path like `borrow` if all of it is on this machine; else a copy that lacks blocks.

        Raises:
            Gone: likewise.
        """
        ...

    def outputs(self, keys: Sequence[str]) -> AbstractContextManager[list[Path]]:
        """Give paths to write new files to, in one folder; at the end of the block they are stored, the first last.

        A path at which nothing was written is left out. After an exception nothing is stored.
        """
        ...

    def transfer(self, key: str, path: Path) -> Transfer:
        """Begin to store an upload that is being received at a path, while its bytes arrive.

        Args:
            key: of the future file.
            path: of the bytes that have arrived; may not exist yet.
        """
        ...

    def unfinished(self, key: str) -> UnfinishedUpload | None:
        """Return what other machines can read of an upload; None: nothing, or it has no record.

        Args:
            key: of the future file.
        """
        ...

    def settle(self, key: str, path: Path) -> bool:
        """Give up the received file of an upload whose transfer is complete; return whether it is gone from there.

        Args:
            key: of the stored file.
            path: of the received one.
        """
        ...

    def check(self) -> None:
        """Check that files can be stored, read and deleted.

        Raises:
            Refused: a setting is wrong; the detail says which.
            TryLater: the storage does not answer.
        """
        ...

    def stat(self, key: str) -> StoredFile | None:
        """Return the facts of a file; None if there is no such file."""
        ...

    def open_range(self, file: StoredFile, first: int, last: int) -> IO[bytes]:
        """Open the bytes from `first` to `last` (inclusive) of a file, seekable.

        Raises:
            Gone: it was deleted or replaced since.
        """
        ...

    def link(self, key: str, valid_for: timedelta) -> str | None:
        """Return an address from which anybody can fetch a file for some time; None: this storage has none."""
        ...

    def list_files(self, prefix: str) -> list[StoredFile]:
        """Return the files whose keys begin with a prefix, by key."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below a folder; some may have become empty lately."""
        ...

    def delete(self, key: str) -> None:
        """Delete a file; nothing if there is none."""
        ...

    def delete_folder(self, folder: str, keeps: Callable[[str], bool] = none_kept) -> bool:
        """Delete a folder (its prefix ends with a slash) and all in it; return whether there was something to delete.

        Args:
            folder: its prefix.
            keeps: asked for the key of each file; True keeps it.
        """
        ...

    def remove_abandoned(self, folder: str, wanted_stems: frozenset[str]) -> None:
        """Remove what killed processes left of files that nobody will make any more."""
        ...
