"""An upload in progress: parses the form while its bytes arrive, and writes the video to disk.

    request headers ─▶ `open_upload` ─▶ `feed` … `feed` ─▶ `acceptance.accept` ─▶ job

The bytes come from the socket (`api.server.parser`) or from a WSGI stream (`api.resources.uploads`). After any error,
`discard` removes the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from actors.database_check import DATABASE_ERRORS
from actors.disk import Disk
from actors.recovery.lost_found import INCOMING
from api.context import Context
from api.http import content_encodings, idempotency
from api.http.auth import KnownKey
from api.http.idempotency import Fingerprint, InProgress
from api.http.problems import Problem, database_unavailable, invalid_field
from api.uploads import options
from api.uploads.background_sync import BackgroundSync
from api.uploads.checks import check_given
from api.uploads.file import UploadFile, file_too_large, make_directory
from api.uploads.multipart import MultipartError, MultipartParser, parse_boundary
from api.uploads.options import MAX_FIELD_BYTES
from api.uploads.reservations import Reservation, became_full
from files import keys
from files.storage import Transfer
from store import DatabaseUnavailable, idempotency_keys
from store.idempotency_keys import StoredAnswer

UPLOAD = "vidprod.upload"
"""Key of the WSGI environment under which the server passes an upload that it has received from the socket."""

MAX_FORM_OVERHEAD_BYTES = 2**20
"""Maximum size of the fields and part headers of a form, beside the file."""

CHECK_DISK_EVERY_BYTES = 2**20
"""Interval of the checks during an upload that the disk has room."""

_MAX_SHOWN_NAME_CHARS = 80  # of a field's name in a problem document


class IncomingUpload(Protocol):
    """An upload whose bytes the server receives from a socket."""

    def feed(self, data: bytes) -> None:
        """Process the next bytes of the request's body."""

    def discard(self) -> None:
        """End the request: the client is gone, or its response was sent."""


class Upload:
    """One upload in progress; the handler of its multipart parser."""

    def __init__(
        self,
        directory: Path,
        *,
        owner_id: str,
        limit_bytes: int,
        boundary: bytes,
        check_fields: Callable[[dict[str, str]], object],
        transfer: Transfer | None = None,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            directory: the upload's own, named after the future job; created when the file begins.
            owner_id: of the key with which it is sent.
            limit_bytes: maximum size of the file.
            check_fields: called with the fields before the file, when the file begins, so that a wrong field is
                refused without waiting for the file. Runs on the server's loop: no network.
            transfer: of the file to a remote storage.
        """
        self._transfer = transfer
        self._directory = directory
        self.owner_id = owner_id
        self._limit_bytes = limit_bytes
        self._parser = MultipartParser(boundary, self)
        self._fields: dict[str, str] = {}
        self._part_name = ""
        self._field = bytearray()
        self._check_fields = check_fields
        self._file: UploadFile | None = None
        self._kept = False
        self._fed_at = time.monotonic()
        self._complete = False
        self._fingerprint: Fingerprint | None = None
        self._in_progress: InProgress | None = None
        self._reservation: Reservation | None = None
        self._disk: Disk | None = None
        self._disk_checked_bytes = 0
        self.key_hash: str | None = None
        self.file_name = ""

    def use_key(self, key_hash: str, in_progress: InProgress) -> None:
        """Set the upload's idempotency key, before its first byte.

        Raises:
            Problem: 409 if another request with this key is in progress.
        """
        in_progress.begin(key_hash, self)
        self._in_progress = in_progress
        self._fingerprint = Fingerprint()
        self.key_hash = key_hash

    def reserve(self, context: Context, size_bytes: int | None) -> None:
        """Reserve disk space, before the first byte of the body.

        Args:
            context: for its reservations and its disk.
            size_bytes: of the body; None if unknown.

        Raises:
            Problem: as `Reservations.reserve`.
            DatabaseUnavailable: likewise.
        """
        self._disk = context.disk
        self._reservation = context.reservations.reserve(context, size_bytes)

    @property
    def idle_s(self) -> float:
        """Return the seconds since the last byte; 0 once the upload is complete."""
        return 0.0 if self._complete else time.monotonic() - self._fed_at

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of a complete upload with an idempotency key; empty without one."""
        return self._fingerprint.hexdigest(self._fields, self.file_name) if self._fingerprint else ""

    @property
    def job_id(self) -> str:
        """Return the id of the future job."""
        return self._directory.name

    @property
    def size_bytes(self) -> int:
        """Return the number of bytes of the file so far."""
        return self._file.size_bytes if self._file else 0

    def feed(self, data: bytes) -> None:
        """Process the next bytes of the request's body.

        Raises:
            Problem: the upload is refused; call `discard`.
        """
        self._fed_at = time.monotonic()
        try:
            self._parser.feed(data)
        except MultipartError as exc:
            raise _broken_form(exc) from exc

    def finish(self) -> dict[str, str]:
        """End the body; return the fields.

        Raises:
            Problem: as `feed`; 400 if the form has no file.
        """
        self._complete = True
        try:
            self._parser.finish()
        except MultipartError as exc:
            raise _broken_form(exc) from exc
        if self._file is None:
            raise _no_file()
        return self._fields

    def finalize_file(self, record: bytes) -> None:
        """Sync the file of a complete upload and rename it to its final name.

        Args:
            record: written beside the file.

        Raises:
            Problem: as `finish`; 503 if the disk is full.
        """
        if self._file is None:
            raise _no_file()
        self._file.finalize(record)

    def keep(self) -> None:
        """Keep the file: it belongs to a job, or it is unknown whether the job was committed."""
        self._kept = True
        self.release_key()
        self._release_space()
        if self._file is not None:
            self._file.keep()

    def discard(self) -> None:
        """Delete the file, unless `keep` was called."""
        self.release_key()
        if self._file is not None and not self._kept:
            self._file.discard()
        self._release_space()

    def release_key(self) -> None:
        """Release the idempotency key for other requests."""
        if self._in_progress is not None and self.key_hash is not None:
            self._in_progress.end(self.key_hash, self)

    def _release_space(self) -> None:
        if self._reservation is not None:
            self._reservation.release()

    def begin_part(self, name: str, file_name: str | None) -> None:
        """Begin a part of the form; the part `file` creates the file on disk."""
        if name in self._fields or (name == "file" and self._file is not None):
            raise invalid_field(_shown(name), "is given twice")
        self._part_name = name
        if name == "file":
            self._check_fields(self._fields)
            self.file_name = options.display_name(file_name)
            sync = BackgroundSync(self._transfer)
            self._file = UploadFile(self._directory, limit_bytes=self._limit_bytes, sync=sync)
        else:
            self._field.clear()

    def write_part(self, data: bytes) -> None:
        """Add bytes to the current part."""
        if self._part_name == "file" and self._file is not None:
            self._write(self._file, data)
            if self._fingerprint is not None:
                self._fingerprint.update(data)
            return
        self._field += data
        if len(self._field) > MAX_FIELD_BYTES:
            raise invalid_field(_shown(self._part_name), f"must be at most {MAX_FIELD_BYTES} bytes")

    def _write(self, file: UploadFile, data: bytes) -> None:
        file.write(data)
        if self._reservation is not None:
            self._reservation.add_written(len(data))
        if self._disk is not None and file.size_bytes - self._disk_checked_bytes >= CHECK_DISK_EVERY_BYTES:
            self._disk_checked_bytes = file.size_bytes
            if not self._disk.has_room():  # another program fills it: what is left is for commits and deletions
                raise became_full(self._disk.free_bytes)

    def end_part(self) -> None:
        """End the current part."""
        if self._part_name != "file":
            try:
                self._fields[self._part_name] = self._field.decode()
            except UnicodeDecodeError:
                raise invalid_field(_shown(self._part_name), "must be text in UTF-8") from None


def open_upload(
    context: Context,
    content_type: str | None,
    content_length: int | None,
    *,
    client: KnownKey,
    idempotency_key: str | None = None,
    content_encoding: str | None = None,
) -> Upload:
    """Check the headers of an upload and prepare to receive its body.

    Args:
        content_encoding: the header's value; only an unencoded body is accepted.
        content_length: in bytes; None if unknown.
        client: the key from `ApiKeys.authenticate`; idempotency keys are separate for each client.
        idempotency_key: the header's value, if it was sent.

    Raises:
        Problem: 400 for a malformed form or idempotency key, 409 for a key in use, 411 or 413 for too large a body,
            415 for another content type or an encoded body, 503 if the disk is full or the database is unavailable.
    """
    settings = context.settings
    try:
        context.store.check()
    except DatabaseUnavailable as exc:
        raise database_unavailable(exc) from exc
    key = None if idempotency_key is None else idempotency.parse(idempotency_key)
    content_encodings.require_identity(content_encoding)
    if not (content_type or "").lower().startswith("multipart/form-data"):
        raise Problem(415, "not_a_form", "send the video as multipart/form-data, in the field `file`")
    if content_length is not None and content_length > settings.max_upload_size + MAX_FORM_OVERHEAD_BYTES:
        raise file_too_large(settings.max_upload_size)
    try:
        boundary = parse_boundary(content_type or "")
    except MultipartError as exc:
        raise _broken_form(exc) from exc
    make_directory(settings.uploads_dir)
    job_id = context.new_id("job_")
    directory = settings.uploads_dir / job_id
    upload = Upload(
        directory,
        owner_id=client.owner_id,
        limit_bytes=settings.max_upload_size,
        boundary=boundary,
        check_fields=lambda fields: _check_given(context, upload, fields),
        transfer=context.files.transfer(keys.source(job_id), directory / INCOMING),
    )
    try:
        if key is not None:
            upload.use_key(idempotency.key_hash(client.identity, key), context.in_progress)
        upload.reserve(context, content_length)
    except DATABASE_ERRORS as exc:
        upload.discard()
        raise database_unavailable(exc) from exc
    except BaseException:
        upload.discard()
        raise
    return upload


def _check_given(context: Context, upload: Upload, fields: dict[str, str]) -> None:
    try:
        if stored_answer(context, upload.key_hash) is None:  # what was accepted then might be refused today
            check_given(context, options.parse_options(fields, context.now()), upload.owner_id)
    except DATABASE_ERRORS as exc:
        raise database_unavailable(exc) from exc


def stored_answer(context: Context, key_hash: str | None) -> StoredAnswer | None:
    """Return the stored answer of an idempotency key; None without one."""
    if key_hash is None:
        return None
    with context.store.reading() as connection:
        return idempotency_keys.get(connection, key_hash, context.now())


def _no_file() -> Problem:
    return Problem(400, "no_file", "file: the form has no file", field="file")


def _broken_form(error: MultipartError) -> Problem:
    return Problem(400, "broken_form", str(error))


def _shown(name: str) -> str:
    return options.display_name(name)[:_MAX_SHOWN_NAME_CHARS]
