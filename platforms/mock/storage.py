"""The mock's storage: a JSON file for each record, written by rename, and a file of bytes for each upload.

A change of state is one rename, so a kill between two of them leaves no partial state. Nothing is synced: the mock must
survive a killed process, not a power failure.
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from pathlib import Path
from typing import Any

Record = dict[str, Any]  # Any: each platform's module knows its own records
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Storage:
    """Records by kind and name.

    Attributes:
        lock: to be held from a read to the write that depends on it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.lock = threading.RLock()
        self._directory.mkdir(parents=True, exist_ok=True)

    def get(self, kind: str, name: str) -> Record | None:
        """Return a copy of a record; None when it does not exist or the name is malformed."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return self._read(self._directory / kind / f"{name}.json")
        except FileNotFoundError:
            return None

    def put(self, kind: str, name: str, record: Record) -> None:
        """Write a record, replacing an earlier one."""
        path = self._path(kind, f"{name}.json")
        temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
        temporary.write_text(json.dumps(record))
        temporary.replace(path)

    def pop(self, kind: str, name: str) -> Record | None:
        """Remove a record and return it; of several callers only one gets it."""
        with self.lock:
            record = self.get(kind, name)
            if record is not None:
                (self._directory / kind / f"{name}.json").unlink()
            return record

    def records(self, kind: str) -> list[tuple[str, Record]]:
        """Return all records of a kind with their names, sorted by name."""
        found = sorted((self._directory / kind).glob("*.json"))
        return [(path.stem, self._read(path)) for path in found]

    def remove_all(self, kind: str) -> None:
        """Remove all records, or all bytes ("bytes"), of a kind."""
        with self.lock:
            for path in (self._directory / kind).glob("*"):
                path.unlink(missing_ok=True)

    def bytes_path(self, upload: str) -> Path:
        """Return the path of an upload's bytes, whether or not any were received."""
        if not _NAME.fullmatch(upload):
            raise ValueError(upload)
        return self._path("bytes", upload)

    def size(self, upload: str) -> int:
        """Return the number of bytes that an upload has received."""
        try:
            return self.bytes_path(upload).stat().st_size
        except FileNotFoundError:
            return 0

    def completed_at(self, upload: str) -> float:
        """Return when an upload received its last byte, in Unix seconds."""
        return self.bytes_path(upload).stat().st_mtime

    def _path(self, kind: str, name: str) -> Path:
        directory = self._directory / kind
        directory.mkdir(exist_ok=True)
        return directory / name

    def _read(self, path: Path) -> Record:
        record: Record = json.loads(path.read_text())
        return record


def new_id(prefix: str = "") -> str:
    """Return a unique id that cannot be guessed."""
    return prefix + uuid.uuid4().hex


def open_at(path: Path, offset: int) -> int:
    """Open a file for writing from `offset` on, truncated there; return the descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return descriptor
