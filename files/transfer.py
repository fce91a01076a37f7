"""Stores an upload in equal pieces while its bytes arrive.

Each piece is an object of its own, and a description of them (`source`) is written last: it makes the video exist. So
nothing of an upload is hidden in the storage, as parts of S3's multipart uploads are; a machine that goes on with an
upload sees which pieces are there; and a range of bytes is a range of pieces.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol

from loguru import logger

from files import keys
from files.errors import FilesError, Refused, TryLater
from files.storage import StoredFile

CHUNK_BYTES = 8 * 2**20
PARALLEL = 2  # pieces in memory, of all uploads of a process

_executor = ThreadPoolExecutor(PARALLEL, thread_name_prefix="transfer")


class ObjectStorage(Protocol):
    """What a transfer needs of a storage."""

    def put_bytes(self, key: str, content: bytes, *, is_new: bool = False) -> bool:
        """Store bytes under a key; with `is_new`, return False if the key exists already."""
        ...

    def get_bytes(self, key: str) -> bytes:
        """Return the content of a small file."""
        ...

    def list_files(self, prefix: str) -> list[StoredFile]:
        """Return the files whose keys begin with a prefix."""
        ...

    def delete_folder(self, folder: str) -> bool:
        """Delete a folder and all in it."""
        ...


class ChunkTransfer:
    """The `Transfer` of one upload, over all requests that append to it."""

    def __init__(self, storage: ObjectStorage, key: str, path: Path) -> None:
        """Prepare; nothing is sent yet.

        Args:
            storage: to which the pieces go.
            key: of the future file.
            path: of the bytes that have arrived.
        """
        self._storage = storage
        self._key = key
        self._path = path
        self._lock, self._known_lock = threading.Lock(), threading.Lock()
        self._sent: dict[int, Future[None]] = {}
        self._outdated: dict[int, Future[None]] = {}  # of pieces whose bytes were cut off
        self._stored: dict[str, str] | None = None  # versions by key, of pieces that an earlier process has stored
        self._is_abandoned = False
        self._record_lock = threading.Lock()
        self._record: bytes | None = None
        self._stored_record: bytes | None = None

    def keep_record(self, record: bytes) -> None:
        """Store the record before the next piece, or at once if pieces are there."""
        with self._lock:
            self._record = record
            if self._sent and record != self._stored_record:
                _executor.submit(self._store_record)

    def _store_record(self) -> None:
        with self._record_lock:
            record = self._record
            if record is not None and record != self._stored_record and not self._is_abandoned:
                self._storage.put_bytes(record_key(self._key), record)
                self._stored_record = record

    def advance(self, safe_bytes: int) -> None:
        """Begin to store the whole pieces up to a byte."""
        with self._lock:
            for number in range(safe_bytes // CHUNK_BYTES):
                if number not in self._sent:
                    self._send(self._path, number, CHUNK_BYTES, with_record=True)

    def _send(self, path: Path, number: int, size_bytes: int, *, with_record: bool = False) -> Future[None]:
        before = self._outdated.pop(number, None)
        self._sent[number] = _executor.submit(self._store, path, number, size_bytes, before, with_record=with_record)
        return self._sent[number]

    def cut_off(self, size_bytes: int) -> None:
        """Store the pieces from an offset on again, once their new bytes have arrived."""
        with self._lock:
            for number in [number for number in self._sent if (number + 1) * CHUNK_BYTES > size_bytes]:
                self._outdated[number] = self._sent.pop(number)

    def finish(self, path: Path, size_bytes: int) -> None:
        """Store all pieces that are missing, then their description."""
        self._send_missing(path, size_bytes)
        if wrong := self._lost(size_bytes):
            logger.warning("{}: {} pieces are gone from the storage, and are sent again", self._key, len(wrong))
            self._send_all(path, wrong, size_bytes)
        self._describe(manifest(size_bytes))

    def _send_missing(self, path: Path, size_bytes: int) -> None:
        numbers = range(-(-size_bytes // CHUNK_BYTES))
        with self._lock:
            begun = dict(self._sent)
        for number, future in begun.items():
            if future.exception() is not None:
                logger.info("{}: piece {} is sent again: {}", self._key, number, future.exception())
        missing = [number for number in numbers if number not in begun or begun[number].exception() is not None]
        self._send_all(path, missing, size_bytes)

    def _send_all(self, path: Path, numbers: Sequence[int], size_bytes: int) -> None:
        with self._lock:
            futures = [self._send(path, number, _chunk_bytes(number, size_bytes)) for number in numbers]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]

    def _lost(self, size_bytes: int) -> list[int]:
        """Return the pieces that the storage lacks, or has with another size: another machine may have deleted them."""
        listed = self._storage.list_files(chunks_folder(self._key))
        sizes = {file.key: file.size_bytes for file in listed}
        with self._known_lock:
            self._stored = {file.key: file.version for file in listed}
        numbers = range(-(-size_bytes // CHUNK_BYTES))
        return [
            number for number in numbers if sizes.get(chunk_key(self._key, number)) != _chunk_bytes(number, size_bytes)
        ]

    def _describe(self, description: bytes) -> None:
        is_stored = self._storage.put_bytes(self._key, description, is_new=True)
        if not is_stored and self._storage.get_bytes(self._key) != description:
            raise Refused(self._key, "the storage has another video under this key")

    def _store(
        self, path: Path, number: int, size_bytes: int, before: Future[None] | None, *, with_record: bool
    ) -> None:
        """Store a piece, after an earlier request with other bytes, which would replace it.

        Raises:
            TryLater: the received file does not have all bytes of the piece; a short piece must not count as stored.
        """
        if before is not None:
            wait([before])  # it was submitted earlier, so it does not wait for this thread
        if self._is_abandoned:
            return
        with path.open("rb") as file:
            content = os.pread(file.fileno(), size_bytes, number * CHUNK_BYTES)
        key = chunk_key(self._key, number)
        if len(content) != size_bytes:
            raise TryLater(key, f"has {len(content)} of {size_bytes} bytes in the received file")
        if with_record:  # else the upload is complete, and its job follows
            self._store_record()
        version = f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}-{len(content):x}"
        if self._known().get(key) != version:
            self._storage.put_bytes(key, content)

    def _known(self) -> dict[str, str]:
        """Return the versions of the pieces that were there before: storages use MD5, or the piece is sent again."""
        with self._known_lock:
            if self._stored is None:
                listed = self._storage.list_files(chunks_folder(self._key))
                self._stored = {file.key: file.version for file in listed}
            return self._stored

    def abandon(self) -> None:
        """Delete the pieces, after those that are being sent."""
        self._is_abandoned = True
        if self._sent or self._record is not None:
            _executor.submit(self._delete)

    def _delete(self) -> None:
        with self._lock:
            begun = [*self._sent.values(), *self._outdated.values()]
        wait(begun)  # they were submitted before, so none of them waits for this thread
        try:
            self._storage.delete_folder(keys.folder(self._key))
        except FilesError as error:  # the clean-up does it later
            logger.warning("{}: an upload's pieces were not deleted: {}", self._key, error)


def chunks_folder(source: str) -> str:
    """Return the prefix of the pieces of an uploaded video."""
    return f"{keys.folder(source)}chunks/"


def chunk_key(source: str, number: int) -> str:
    """Return the key of a piece of an uploaded video."""
    return f"{chunks_folder(source)}{number:08}"


def record_key(source: str) -> str:
    """Return the key of the record of a resumable upload."""
    return f"{keys.folder(source)}record"


def whole_chunks(source: str, files: Iterable[StoredFile]) -> list[StoredFile]:
    """Return the pieces of an upload from the first on without a gap; only the last one may be short."""
    by_key = {file.key: file for file in files}
    found: list[StoredFile] = []
    while (file := by_key.get(chunk_key(source, len(found)))) is not None:
        found.append(file)
        if file.size_bytes != CHUNK_BYTES:
            break
    return found


def _chunk_bytes(number: int, size_bytes: int) -> int:
    """Return the size of a piece of an upload."""
    return min(CHUNK_BYTES, size_bytes - number * CHUNK_BYTES)


def manifest(size_bytes: int) -> bytes:
    """Return the description of an uploaded video."""
    return json.dumps({"size_bytes": size_bytes, "chunk_bytes": CHUNK_BYTES}).encode()


def size_of(key: str, description: bytes) -> int:
    """Return the size of an uploaded video.

    Raises:
        Refused: it is described in another way.
    """
    try:
        found = json.loads(description)
        size_bytes, chunk_bytes = int(found["size_bytes"]), int(found["chunk_bytes"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(key, f"is not the description of an upload: {error}") from error
    if chunk_bytes != CHUNK_BYTES:
        raise Refused(key, f"has pieces of {chunk_bytes} bytes; this version reads {CHUNK_BYTES}")
    return size_bytes
