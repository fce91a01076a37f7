"""The requests that append to resumable uploads: one at a time for each upload, and the newest one wins.

A phone that changes its network leaves a dead connection open, which the server notices minutes later. So each request
for an upload, also one that only asks for the offset, first ends the request that is appending. What that one has
written stays, unless it has a checksum, which can no longer be verified.

    head of a request ─▶ `requests.append` ─▶ `Reception.feed` … ─▶ `Reception.end` ─▶ `acceptance.accept`, at the end
    disconnection     ─▶ `Reception.discard`
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.machine import Machine
from actors.recovery.lost_found import INCOMING, SOURCE
from actors.recovery.upload_record import NAME as RECORD
from api.http.problems import Problem, invalid_field
from api.tus import protocol
from api.tus.protocol import Checksum
from api.tus.stored import StoredUpload, UploadState, gone
from api.uploads import options
from api.uploads.background_sync import BackgroundSync
from api.uploads.file import VERIFIED, UploadFile, disk_errors_as_problems, in_use
from api.uploads.options import UploadOptions
from api.uploads.reservations import Reservation, Reservations, became_full
from files import keys
from files.storage import Transfer

CHECK_DISK_EVERY_BYTES = 2**20
"""Interval of the checks during an upload that the disk has room."""

MAX_INCOMPLETE = 1000
"""Maximum number of incomplete uploads. A volume of 1 GB has 65,000 inodes, and each upload takes three."""

FILE_NAMES = ("filename", "name")
"""Keys of Upload-Metadata for the file's name: of tus-js-client's examples, and of Uppy."""


class Reception:
    """One request that appends to an upload. Ends by `end`, `discard`, or a newer request for the same upload."""

    def __init__(
        self, owner: Receptions, machine: Machine, upload: StoredUpload, file: UploadFile, checksum: Checksum | None
    ) -> None:
        self._owner = owner
        self._disk = machine.disk
        self._disk_checked_bytes = file.size_bytes
        self._file = file
        self._checksum = checksum
        self._hash: Any = None if checksum is None else checksum.new()  # Any: hashlib's type has no name
        self._lock = threading.Lock()
        self._is_open = True
        self._is_finished = False
        self._is_moved = False  # to its final name, for a job that is not committed yet
        self._kept = False
        self._fed_s = time.monotonic()
        self.upload = upload
        self.begun_at_bytes = file.size_bytes
        self.key_hash: str | None = None  # the upload's own address makes a repeated request recognizable
        self.fingerprint = ""

    @property
    def size_bytes(self) -> int:
        """Return the offset: the number of bytes of the file so far."""
        return self._file.size_bytes

    @property
    def idle_s(self) -> float:
        """Return the seconds since the last byte."""
        return time.monotonic() - self._fed_s

    @property
    def job_id(self) -> str:
        """Return the id of the future job."""
        return self.upload.upload_id

    @property
    def owner_id(self) -> str:
        """Return the owner of the upload."""
        return self.upload.owner_id

    @property
    def file_name(self) -> str:
        """Return the name of the file, to be shown only."""
        return file_name(self.upload.metadata)

    def feed(self, data: bytes) -> None:
        """Append the next bytes of the request's body.

        Raises:
            Problem: 409 if a newer request has ended this one, 413 beyond the upload's length, 415 if the file is not a
                video, 503 for a disk error.
        """
        with self._lock, protocol.version_on_errors():
            self._fed_s = time.monotonic()
            if not self._is_open:
                raise superseded()
            if self.upload.limit is not None and self.size_bytes + len(data) > self.upload.limit:
                raise beyond_length(self.upload.limit)
            self._write(data)

    def _write(self, data: bytes) -> None:
        before_bytes = self.size_bytes
        try:
            self._file.write(data)
        finally:  # a disk that has lost bytes makes the file shorter
            self._owner.add_written(self.job_id, self.size_bytes - before_bytes)
        if self._hash is not None:
            self._hash.update(data)
        if self.size_bytes - self._disk_checked_bytes >= CHECK_DISK_EVERY_BYTES:
            self._disk_checked_bytes = self.size_bytes
            if not self._disk.has_room():  # another program fills it: what is left is for commits and deletions
                raise became_full(self._disk.free_bytes)

    def append_file(self, path: Path) -> None:
        """Append a file, in the kernel.

        Raises:
            Problem: 409 as `feed`, 503 for a disk error.
        """
        with self._lock:
            if not self._is_open:
                raise superseded()
            before_bytes = self.size_bytes
            self._file.append_file(path)
            self._owner.add_written(self.job_id, self.size_bytes - before_bytes)

    def end(self) -> None:
        """End the body; verify its checksum.

        Raises:
            Problem: 409 as `feed`, 460 for a wrong checksum; the body's bytes are dropped then.
        """
        with self._lock:
            if not self._is_open:
                raise superseded()
            if self._checksum is not None:
                if self._hash.digest() != self._checksum.digest:
                    raise checksum_mismatch()
                self._checksum = None
                self._file.transfer_only(None)
                (self.upload.directory / VERIFIED).unlink(missing_ok=True)

    @property
    def is_complete(self) -> bool:
        """Return whether all bytes of the upload are there."""
        return self.upload.length is not None and self.size_bytes == self.upload.length

    def finish(self) -> dict[str, str]:
        """Return the options of the upload, as the fields of a form.

        From here on no newer request ends this one: the job is being committed.
        """
        with self._lock:
            if not self._is_open:
                raise superseded()
            self._is_finished = True
        return fields(self.upload.metadata)

    def finalize_file(self, record: bytes) -> None:
        """Sync the complete file and rename it to its final name.

        Args:
            record: written beside the file.

        Raises:
            Problem: 400 for an empty file, 415 for one that is not a video, 503 if the disk is full.
        """
        before_bytes = self.size_bytes
        try:
            self._file.finalize(record)
        finally:  # as in `feed`
            self._owner.add_written(self.job_id, self.size_bytes - before_bytes)
        self._is_moved = True

    def keep(self) -> None:
        """Leave the file to its job."""
        self._kept = True
        self._close()
        self._owner.release(self.job_id)

    def release_key(self) -> None:
        """Do nothing: there is no idempotency key."""

    def interrupt(self) -> None:
        """End the request for a newer one.

        Raises:
            Problem: 423 after `finish`: the job is being committed.
        """
        with self._lock:
            if self._is_finished:
                raise locked()
            self._discard()

    def discard(self) -> None:
        """End the request; keep its bytes, unless they have a checksum that is not verified. May be repeated."""
        with self._lock:
            self._discard()

    def _discard(self) -> None:
        try:
            if self._is_moved and not self._kept:  # the job was not committed: the upload is complete and waits
                (self.upload.directory / SOURCE).rename(self.upload.directory / INCOMING)
                (self.upload.directory / RECORD).unlink(missing_ok=True)
                self._is_moved = False
            if self._is_open and self._checksum is not None:
                self._owner.add_written(self.job_id, self.begun_at_bytes - self.size_bytes)
                self._file.truncate(self.begun_at_bytes)
                (self.upload.directory / VERIFIED).unlink(missing_ok=True)
        finally:
            self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._file.keep()
        self._owner.end(self)


class Receptions:
    """The uploads that this process is receiving. There is one object in each process: `Context.receptions`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.joining = threading.Lock()  # while a joined upload is created or removed
        self._receiving: dict[str, Reception] = {}
        self._reserved: dict[str, Reservation] = {}
        self._syncs: dict[str, BackgroundSync] = {}
        self._resuming: set[str] = set()

    def reserve(self, machine: Machine, reservations: Reservations, upload: StoredUpload, written_bytes: int) -> None:
        """Reserve disk space for the rest of an upload, unless that is done already.

        It is kept over all requests until the upload is accepted, deleted or expired.

        Raises:
            Problem: as `Reservations.reserve`; 503 if there are too many incomplete uploads.
            DatabaseUnavailable: as `Reservations.reserve`.
        """
        if upload.upload_id not in self._reserved:
            self._release_expired(machine)
            if len(self._reserved) >= MAX_INCOMPLETE:
                raise too_many()
            space = reservations.reserve(machine, upload.limit, written_bytes=written_bytes)
            with self._lock:
                self._reserved[upload.upload_id] = space

    def release(self, upload_id: str) -> None:
        """End the reservation of an upload that is accepted or deleted."""
        with self._lock:
            space = self._reserved.pop(upload_id, None)
            self._syncs.pop(upload_id, None)
        if space is not None:
            space.release()

    def abandon(self, machine: Machine, upload: StoredUpload) -> None:
        """Delete what is stored elsewhere of an upload that is deleted, and release its reservation."""
        self.keep_record(machine, upload)  # there may be pieces of an earlier process, or of another machine
        self._sync_of(machine, upload).abandon()
        self.release(upload.upload_id)

    def keep_record(self, machine: Machine, upload: StoredUpload) -> None:
        """Store what the client told, for another machine, once there are bytes to go on with."""
        self._sync_of(machine, upload).keep_record(upload.record)

    def _sync_of(self, machine: Machine, upload: StoredUpload) -> BackgroundSync:
        with self._lock:
            if upload.upload_id not in self._syncs:
                self._syncs[upload.upload_id] = BackgroundSync(_transfer(machine, upload))
            return self._syncs[upload.upload_id]

    def add_written(self, upload_id: str, count: int) -> None:
        """Take written bytes off the reservation of an upload."""
        space = self._reserved.get(upload_id)
        if space is not None:
            space.add_written(count)

    def _release_expired(self, machine: Machine) -> None:
        # Another process deletes the files of expired uploads.
        with self._lock:
            reserved = list(self._reserved)
        for upload_id in reserved:
            if not (machine.settings.uploads_dir / upload_id / INCOMING).exists():
                self.release(upload_id)

    def begin(
        self, machine: Machine, upload: StoredUpload, checksum: Checksum | None = None, *, is_new: bool = False
    ) -> Reception:
        """Begin to append to an upload; end the request that is appending.

        Args:
            machine: for its settings and clock.
            upload: to append to.
            checksum: of the body.
            is_new: the file is to be created.

        Raises:
            Problem: 410 if the upload has expired, 423 if it is being accepted or deleted, 503 for a disk error.
        """
        self.interrupt(upload.upload_id)
        if not is_new and upload.state(machine.now()) is not UploadState.RECEIVING:
            raise gone()
        resumed_at = None if is_new else upload.offset
        sync = self._sync_of(machine, upload)
        file = UploadFile(
            upload.directory,
            limit_bytes=machine.settings.max_upload_size,
            is_video=not upload.is_partial,
            resumed_at=resumed_at,
            sync=sync,
        )
        try:
            with disk_errors_as_problems():
                if checksum is None:
                    (upload.directory / VERIFIED).unlink(missing_ok=True)
                else:
                    (upload.directory / VERIFIED).write_text(str(file.size_bytes))
        except BaseException:
            file.keep()
            raise
        file.transfer_only(None if checksum is None else file.size_bytes)
        reception = Reception(self, machine, upload, file, checksum)
        with self._lock:
            self._receiving[upload.upload_id] = reception
        return reception

    @contextmanager
    def resuming(self, upload_id: str) -> Iterator[None]:
        """Let no other request copy an upload from the storage during a block.

        Raises:
            Problem: 423 while another one does.
        """
        with self._lock:
            if upload_id in self._resuming:
                raise in_use()
            self._resuming.add(upload_id)
        try:
            yield
        finally:
            with self._lock:
                self._resuming.discard(upload_id)

    def interrupt(self, upload_id: str) -> None:
        """End the request that appends to an upload, if there is one.

        Raises:
            Problem: 423 if the upload is complete and its job is being committed.
        """
        with self._lock:
            reception = self._receiving.get(upload_id)
        if reception is not None:
            reception.interrupt()

    def end(self, reception: Reception) -> None:
        """Remove a request that has ended."""
        with self._lock:
            if self._receiving.get(reception.upload.upload_id) is reception:
                del self._receiving[reception.upload.upload_id]


def _transfer(machine: Machine, upload: StoredUpload) -> Transfer | None:
    """Return the transfer of an upload to the storage; None for a partial one, whose bytes become another's."""
    if upload.is_partial:
        return None
    return machine.files.transfer(keys.source(upload.upload_id), upload.directory / INCOMING)


def fields(metadata: str | None) -> dict[str, str]:
    """Return the options in an Upload-Metadata header; other keys are the client's own.

    Raises:
        Problem: 400 for a malformed header, 422 for an option that is not UTF-8.
    """
    found = {}
    for key, value in protocol.metadata(metadata).items():
        if key in UploadOptions.model_fields:
            try:
                found[key] = value.decode()
            except UnicodeDecodeError:
                raise invalid_field(key, "must be text in UTF-8") from None
    return found


def file_name(metadata: str | None) -> str:
    """Return the file's name in an Upload-Metadata header, safe to be shown; empty without one."""
    found = protocol.metadata(metadata)
    names = [found[key].decode(errors="replace") for key in FILE_NAMES if found.get(key)]
    return options.display_name(names[0] if names else None)


def superseded() -> Problem:
    """Return the 409 for a request that a newer one has ended."""
    return Problem(409, "upload_superseded", "a newer request continues this upload")


def locked() -> Problem:
    """Return the 423 for an upload that is being completed."""
    detail = "the upload is complete and is being accepted; ask again in a second"
    return Problem(423, "upload_locked", detail, headers={"Retry-After": "1"})


def too_many() -> Problem:
    """Return the 503 for a new upload beside too many incomplete ones."""
    detail = f"there are {MAX_INCOMPLETE} incomplete uploads; finish or delete some, or try again later"
    return Problem(503, "too_many_uploads", detail, headers={"Retry-After": "600"}, limit=MAX_INCOMPLETE)


def beyond_length(length: int) -> Problem:
    """Return the 413 for more bytes than the upload's length."""
    return Problem(413, "beyond_length", f"the upload has {length} bytes, this request sends more", length_bytes=length)


def checksum_mismatch() -> Problem:
    """Return the 460 for a wrong checksum."""
    detail = "the bytes do not have the checksum in Upload-Checksum; they were dropped, send them again"
    return Problem(protocol.CHECKSUM_MISMATCH, "checksum_mismatch", detail)
