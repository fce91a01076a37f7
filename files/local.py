"""Files in a local directory: a key is a path below it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import IO

from files.errors import Gone
from files.storage import StoredFile, UnfinishedUpload, none_kept


class LocalFiles:
    """A `Storage` in a directory. Borrowed files and outputs are the files themselves: nothing is copied."""

    def __init__(self, root: Path, remove_abandoned: Callable[[Path, frozenset[str]], None] | None = None) -> None:
        """Use a directory, which need not exist yet.

        Args:
            root: absolute.
            remove_abandoned: removes what killed writers left in a folder (`media.process.attempt`).
        """
        self._root = root
        self._remove_abandoned = remove_abandoned

    def path(self, key: str) -> Path:
        """Return the path of a file."""
        return self._root / key

    @contextmanager
    def borrow(self, key: str) -> Iterator[Path]:
        """Yield the file's own path."""
        yield self._root / key

    borrow_partly = borrow

    @contextmanager
    def outputs(self, keys: Sequence[str]) -> Iterator[list[Path]]:
        """Yield the final paths: a media child's files are renamed to them when it has succeeded."""
        paths = [self._root / key for key in keys]
        for folder in {path.parent for path in paths}:
            folder.mkdir(parents=True, exist_ok=True)
        yield paths

    def transfer(self, key: str, path: Path) -> InPlace:
        """Return a transfer with nothing to do: an upload is received where it stays."""
        del key, path
        return InPlace()

    def unfinished(self, key: str) -> UnfinishedUpload | None:
        """Return None: the directory is that of this machine."""
        del key
        return None

    def settle(self, key: str, path: Path) -> bool:
        """Return False: the received file is the stored one."""
        del key, path
        return False

    def check(self) -> None:
        """Do nothing: a start fails without its directory."""

    def stat(self, key: str) -> StoredFile | None:
        """Return the facts of a file; None if there is no such file."""
        try:
            status = (self._root / key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _stored(key, status)

    def open_range(self, file: StoredFile, first: int, last: int) -> IO[bytes]:
        """Open a range of bytes of a file."""
        try:
            return FileSlice(self._root / file.key, first, last)
        except FileNotFoundError:
            raise Gone(file.key, "the file was deleted") from None

    def link(self, key: str, valid_for: timedelta) -> None:
        """Return None: only this machine reads a local file."""
        del key, valid_for

    def list_files(self, prefix: str) -> list[StoredFile]:
        """Return the files whose keys begin with a prefix; no hidden ones, which are incomplete."""
        folder, _, beginning = prefix.rpartition("/")
        found = []
        try:
            with os.scandir(self._root / folder) as entries:
                for entry in entries:
                    if entry.name.startswith(beginning) and not entry.name.startswith("."):
                        found += self._listed(f"{folder}/{entry.name}", entry)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda file: file.key)

    def _listed(self, key: str, entry: os.DirEntry[str]) -> list[StoredFile]:
        if entry.is_dir(follow_symlinks=False):
            return self.list_files(f"{key}/")
        try:
            return [_stored(key, entry.stat(follow_symlinks=False))]
        except FileNotFoundError:  # deleted meanwhile
            return []

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below a folder."""
        root = self._root / prefix
        if not root.is_dir():
            return []
        return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.is_symlink())

    def delete(self, key: str) -> None:
        """Delete a file; nothing if there is none."""
        (self._root / key).unlink(missing_ok=True)

    def delete_folder(self, folder: str, keeps: Callable[[str], bool] = none_kept) -> bool:
        """Delete a folder, also what is hidden in it; with `keeps`, all but the files that it keeps."""
        directory = self._root / folder
        if not directory.exists():
            return False
        if keeps is none_kept:
            shutil.rmtree(directory)
            return True
        others = [path for path in directory.iterdir() if not keeps(f"{folder}{path.name}")]
        for path in others:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        return bool(others)

    def remove_abandoned(self, folder: str, wanted_stems: frozenset[str]) -> None:
        """Remove the hidden folders that killed processes left."""
        if self._remove_abandoned is not None:
            self._remove_abandoned(self._root / folder, wanted_stems)


class InPlace:
    """The `Transfer` of an upload that is received where it stays."""

    def advance(self, safe_bytes: int) -> None:
        """Do nothing."""

    def cut_off(self, size_bytes: int) -> None:
        """Do nothing."""

    def keep_record(self, record: bytes) -> None:
        """Do nothing."""

    def finish(self, path: Path, size_bytes: int) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing: the upload's folder is deleted with all in it."""


class FileSlice(FileIO):
    """A file limited to a range of bytes; seekable, so that the server's loop sends it itself."""

    def __init__(self, path: Path, first: int, last: int) -> None:
        super().__init__(path, "rb")
        self.seek(first)
        self._end = last + 1

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes of the range."""
        left = max(self._end - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left)) or b""


def _stored(key: str, status: os.stat_result) -> StoredFile:
    modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
    return StoredFile(key, status.st_size, modified_at, f"{status.st_mtime_ns:x}-{status.st_size:x}")
