"""Copies files of a local directory into a bucket, and checks them by reading what was stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from files.errors import Refused
from files.local import LocalFiles
from files.s3 import S3Files, is_chunked


@dataclass(frozen=True)
class CopiedFile:
    """A file of which the bucket has the same bytes.

    Attributes:
        key: of the file.
        size_bytes: of the file.
        is_new: it was stored now; False: it was there already.
    """

    key: str
    size_bytes: int
    is_new: bool


def copy(local: LocalFiles, remote: S3Files, key: str) -> CopiedFile | None:
    """Store a file unless the bucket has it; None if it was deleted meanwhile. It stays where it is.

    Raises:
        FilesError: the storage does not take it, or returns other bytes.
    """
    path = local.path(key)
    try:
        size_bytes, digest = path.stat().st_size, _digest(path)
        is_new = remote.digest(key) != digest
        if is_new and is_chunked(key):
            remote.transfer(key, path).finish(path, size_bytes)
        elif is_new:
            remote.put(key, path)
    except FileNotFoundError:
        if path.exists():
            raise
        return None
    if is_new and remote.digest(key) != digest:
        raise Refused(key, "the bucket returns other bytes than were stored")
    return CopiedFile(key, size_bytes, is_new)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
