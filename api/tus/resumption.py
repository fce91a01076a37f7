"""Uploads that another machine was receiving: continued here, from the pieces that are in the storage.

    HEAD ─▶ `resume` ─▶ the record and the whole pieces become an upload of this machine ─▶ the client sends the rest

The bytes are copied, so that from here on nothing tells the upload from one that began on this machine. What cannot be
copied within `COPY_S` is sent again by the client; pieces that the storage has are not stored again.
"""

from __future__ import annotations

import shutil
import time

from loguru import logger

from actors.database_check import DATABASE_ERRORS
from actors.recovery.lost_found import INCOMING, SOURCE_DELETED_MARK
from api.context import Context
from api.http.problems import database_unavailable, not_found
from api.tus.stored import StoredUpload, UploadState, decode
from api.uploads.file import UploadFile, disk_errors_as_problems, make_directory
from files import keys
from files.storage import UnfinishedUpload
from store import jobs

COPY_S = 4.0  # the page waits 8 s for an offset


def resume(context: Context, owner_id: str, upload_id: str) -> StoredUpload:
    """Make an upload of this machine from what the storage has of an owner's upload.

    Not on the server's loop: it waits for the storage.

    Raises:
        Problem: 404 if the storage has nothing of it, 423 while another request does the same, 503 without room, for a
            disk error or an unavailable database.
        FilesError: the storage does not answer.
    """
    found = context.files.unfinished(keys.source(upload_id))
    if found is None:
        raise not_found("upload")
    upload = decode(context.settings.uploads_dir / upload_id, found.record)
    if upload.owner_id != owner_id:
        raise not_found("upload")
    make_directory(context.settings.uploads_dir)
    with context.receptions.resuming(upload_id):
        if is_accepted_elsewhere(context, upload):
            _write_accepted(upload)
        else:
            _copy(context, upload, found)
    return upload


def is_accepted_elsewhere(context: Context, upload: StoredUpload) -> bool:
    """Return whether another machine has made the job of an upload that is incomplete here."""
    if not context.settings.is_remote or upload.state(context.now()) is UploadState.ACCEPTED:
        return False
    try:
        with context.store.reading() as connection:
            return jobs.get(connection, upload.upload_id) is not None
    except DATABASE_ERRORS as exc:
        raise database_unavailable(exc) from exc


def end_here(context: Context, upload: StoredUpload) -> None:
    """Delete the bytes of an upload whose job another machine has made."""
    with disk_errors_as_problems():
        (upload.directory / SOURCE_DELETED_MARK).touch()
        (upload.directory / INCOMING).unlink(missing_ok=True)
    context.receptions.release(upload.upload_id)


def _write_accepted(upload: StoredUpload) -> None:
    with disk_errors_as_problems():
        upload.directory.mkdir(exist_ok=True)
        (upload.directory / SOURCE_DELETED_MARK).touch()
        upload.write()


def _copy(context: Context, upload: StoredUpload, found: UnfinishedUpload) -> None:
    try:
        context.receptions.reserve(context, context.reservations, upload, 0)
    except DATABASE_ERRORS as exc:
        raise database_unavailable(exc) from exc
    try:
        size_bytes = _write_pieces(context, upload, found)
        upload.write()  # last: without it, a start deletes what a killed process has left
    except BaseException:
        shutil.rmtree(upload.directory, ignore_errors=True)
        context.receptions.release(upload.upload_id)
        raise
    context.receptions.add_written(upload.upload_id, size_bytes)
    logger.info(
        "Upload {}: {} bytes copied from the storage; another machine received them", upload.upload_id, size_bytes
    )


def _write_pieces(context: Context, upload: StoredUpload, found: UnfinishedUpload) -> int:
    """Write the pieces in order, as many as the time allows; return their size."""
    until_s = time.monotonic() + COPY_S
    file = UploadFile(upload.directory, limit_bytes=context.settings.max_upload_size)  # sends nothing to the storage
    try:
        for piece in found.read():
            file.write(piece)
            if time.monotonic() >= until_s:
                break
        return file.size_bytes
    finally:
        file.keep()
