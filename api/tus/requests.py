"""The operations of tus on an upload: create, append, join, tell the offset, delete.

Those with a body are begun at their head, on the server's loop (`api.server.head_checks`), and ended by
`api.resources.files` when the body is there.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

from loguru import logger

from actors.database_check import DATABASE_ERRORS
from actors.recovery import lost_found
from actors.recovery.lost_found import INCOMING, RESUMABLE_RECORD
from api.context import Context
from api.http.problems import Problem, database_unavailable, not_found
from api.tus import protocol, resumption
from api.tus.protocol import Checksum, Headers
from api.tus.receiving import Reception, beyond_length, fields, locked
from api.tus.stored import StoredUpload, UploadState, gone, load
from api.uploads.checks import check_given
from api.uploads.file import file_too_large, make_directory
from api.uploads.options import parse_options


def create(context: Context, owner_id: str, headers: Headers, content_length: int | None) -> Reception:
    """Create an upload, and begin to receive the body of the request that creates it.

    Args:
        context: of the API.
        owner_id: of the key with which it is sent.
        headers: of the request.
        content_length: of its body, in bytes; 0 without a body, None if unknown.

    Raises:
        Problem: 400 or 422 for a malformed header or a wrong option, 409 for a platform without an account, 412 for
            another version, 413 for too large an upload, 415 for a body of another type, 503 if the disk is full or the
            database is unavailable.
    """
    protocol.check_version(headers)
    concatenation = protocol.concatenation(headers("Upload-Concat"))
    if concatenation is not None and concatenation.is_final:
        if content_length != 0:  # it would be joined on the server's loop
            raise Problem(400, "tus_concat", "Upload-Concat: a final upload has no body")
        return _join(context, owner_id, headers, concatenation.partial_ids)
    length = protocol.length(headers)
    checksum = protocol.checksum(headers("Upload-Checksum"))
    if content_length != 0:
        protocol.require_content_type(headers)
    upload = _new(context, owner_id, headers, length)
    if not upload.is_partial:
        _check_options(context, upload)
        if length == 0:
            raise Problem(400, "empty_file", "Upload-Length: the file is empty", field="file")
    if length is not None and (content_length or 0) > length:
        raise beyond_length(length)
    return _begin(context, upload, checksum if content_length != 0 else None)


def append(context: Context, owner_id: str, upload_id: str, headers: Headers, content_length: int | None) -> Reception:
    """Begin to append the body of a request to an upload.

    Args:
        context: of the API.
        owner_id: of the key with which it is sent; another owner's upload is not found.
        upload_id: of the upload.
        headers: of the request.
        content_length: of its body, in bytes; None if unknown.

    Raises:
        Problem: 400 for a malformed header, 403 for a joined upload, 404 or 410 without the upload, 409 for another
            offset, 412 for another version, 413 beyond its length, 415 for a body of another type, 423 while it is
            accepted, 503 for a disk error or an unavailable database.
    """
    protocol.check_version(headers)
    protocol.require_content_type(headers)
    offset = protocol.number("Upload-Offset", headers("Upload-Offset"))
    checksum = protocol.checksum(headers("Upload-Checksum"))
    _require_database(context)
    upload = _load_here(context, owner_id, upload_id)
    if upload.is_final:
        raise Problem(403, "joined_upload", "this upload is joined from others; nothing can be added to it")
    if upload.state(context.now()) is UploadState.ACCEPTED:
        raise _other_offset(offset, upload.length or 0)
    changed = _with_changes(context, upload, headers)
    if upload.state(context.now()) is UploadState.EXPIRED:
        raise gone()
    try:
        context.receptions.reserve(context, context.reservations, changed, changed.offset)
    except DATABASE_ERRORS as exc:
        raise database_unavailable(exc) from exc
    reception = context.receptions.begin(context, changed, checksum)
    try:
        if reception.size_bytes != offset:
            raise _other_offset(offset, reception.size_bytes)
        if changed.length is not None and changed.length < offset:
            raise Problem(400, "tus_header", f"Upload-Length: {offset} bytes are here already")
        if changed.length is not None and offset + (content_length or 0) > changed.length:
            raise beyond_length(changed.length)
        if changed != upload:
            changed.write()
        context.receptions.keep_record(context, changed)
    except BaseException:
        reception.discard()
        raise
    return reception


def current(context: Context, owner_id: str, upload_id: str) -> StoredUpload:
    """Return an owner's upload after ending the request that appends to it; if need be, from the storage.

    Raises:
        Problem: 404 or 410 without the upload, 423 while it is accepted.
        FilesError: another machine may have received it, and the storage does not answer.
    """
    _refuse_other_owner(context, owner_id, upload_id)
    context.receptions.interrupt(upload_id)
    try:
        upload = _load(context, owner_id, upload_id)
    except Problem:  # 404
        upload = resumption.resume(context, owner_id, upload_id)
    if resumption.is_accepted_elsewhere(context, upload):
        resumption.end_here(context, upload)
    if upload.state(context.now()) is UploadState.EXPIRED:
        raise gone()
    return upload


def delete(context: Context, owner_id: str, upload_id: str) -> None:
    """Delete an owner's upload that belongs to no job.

    Raises:
        Problem: 403 if it belongs to one, 404 or 410 without the upload, 423 while it is accepted.
    """
    upload = current(context, owner_id, upload_id)
    if upload.state(context.now()) is UploadState.ACCEPTED:
        detail = f"the upload is complete and belongs to a job; delete the job: DELETE /jobs/{upload_id}"
        raise Problem(403, "upload_accepted", detail, job_id=upload_id)
    with lost_found.locked(upload.directory / INCOMING) as acquired:
        # Another request may have begun to append meanwhile, or even have completed the upload.
        if not acquired or upload.state(context.now()) is not UploadState.RECEIVING:
            raise locked()
        _remove(context, upload)


def unknown() -> Problem:
    """Return the 404 for an unknown upload."""
    return not_found("upload")


def _load(context: Context, owner_id: str, upload_id: str) -> StoredUpload:
    found = load(context.settings.uploads_dir, upload_id)
    if found.owner_id != owner_id:
        raise unknown()
    return found


def _refuse_other_owner(context: Context, owner_id: str, upload_id: str) -> None:
    """Refuse the upload of another owner before its request is ended; a missing one may be in the storage."""
    try:
        found = load(context.settings.uploads_dir, upload_id)
    except Problem:  # 404
        return
    if found.owner_id != owner_id:
        raise unknown()


def _load_here(context: Context, owner_id: str, upload_id: str) -> StoredUpload:
    """Return an owner's upload; of one that may be in the storage only, have the client ask for the offset.

    Raises:
        Problem: 404, 409.
    """
    try:
        return _load(context, owner_id, upload_id)
    except Problem:  # 404
        if not context.settings.is_remote:
            raise
        detail = "this machine has received nothing of this upload; ask for its Upload-Offset (HEAD), and go on there"
        raise Problem(409, "other_offset", detail) from None


def _new(context: Context, owner_id: str, headers: Headers, length: int | None) -> StoredUpload:
    limit_bytes = context.settings.max_upload_size
    if length is not None and length > limit_bytes:
        raise file_too_large(limit_bytes)
    metadata, concat = headers("Upload-Metadata"), protocol.concatenation(headers("Upload-Concat"))
    maximum = protocol.maximum(protocol.metadata(metadata))
    if length is None and maximum is not None and maximum > limit_bytes:
        raise file_too_large(limit_bytes)
    _require_database(context)
    directory = context.settings.uploads_dir / context.new_id("job_")
    concat_header = None if concat is None else concat.header
    return StoredUpload(directory, length, metadata, concat_header, owner_id, maximum)


def _check_options(context: Context, upload: StoredUpload) -> None:
    try:
        check_given(context, parse_options(fields(upload.metadata), context.now()), upload.owner_id)
    except DATABASE_ERRORS as exc:
        raise database_unavailable(exc) from exc


def _with_changes(context: Context, upload: StoredUpload, headers: Headers) -> StoredUpload:
    """Return an upload with the metadata that a request tells, and with the length if it was deferred.

    Metadata goes beyond tus. A page sends the video while its form is still being filled in, with a deferred length,
    and then the length together with the options.
    """
    metadata, length = headers("Upload-Metadata"), headers("Upload-Length")
    if metadata is not None:
        protocol.metadata(metadata)
        upload = replace(upload, metadata=metadata)
        if not upload.is_partial:
            _check_options(context, upload)
    if length is not None:
        upload = replace(upload, length=_checked_length(context, upload, protocol.number("Upload-Length", length)))
    return upload


def _checked_length(context: Context, upload: StoredUpload, length: int) -> int:
    if upload.length is not None and length != upload.length:
        raise Problem(400, "tus_header", f"Upload-Length: the upload was created with {upload.length}")
    if length > context.settings.max_upload_size:
        raise file_too_large(context.settings.max_upload_size)
    if upload.maximum is not None and length > upload.maximum:
        raise beyond_length(upload.maximum)
    return length


def _join(context: Context, owner_id: str, headers: Headers, partial_ids: tuple[str, ...]) -> Reception:
    """Create an upload from complete partial ones.

    The bytes are copied, and `end_join` deletes the partial uploads when the job is committed: whatever fails, the same
    request can be repeated.
    """
    if headers("Upload-Length") is not None or headers("Upload-Defer-Length") is not None:
        raise Problem(400, "tus_header", "Upload-Length: a final upload has that of its partial ones")
    partial = [current(context, owner_id, name) for name in partial_ids]
    for upload in partial:
        if not upload.is_partial or upload.length is None or upload.offset != upload.length:
            raise Problem(400, "tus_concat", f"Upload-Concat: {upload.upload_id} is not a complete partial upload")
    total = sum(upload.length or 0 for upload in partial)
    upload = replace(
        _new(context, owner_id, headers, total), directory=context.settings.uploads_dir / _joined_id(partial_ids)
    )
    _check_options(context, upload)
    with context.receptions.joining:
        if not _remove_unaccepted(context, upload):  # what a joining that a crash has interrupted has left
            raise locked()
        reception = _begin(context, upload, None)
    try:
        for part in partial:
            reception.append_file(part.directory / INCOMING)
    except BaseException:
        reception.discard()
        end_join(context, upload)
        raise
    return reception


def _joined_id(partial_ids: tuple[str, ...]) -> str:
    """Return the id of a joined upload. A repeated request has the same one, and so makes no second job."""
    return f"job_{sha256(' '.join(partial_ids).encode()).hexdigest()[:32]}"


def _remove_unaccepted(context: Context, upload: StoredUpload) -> bool:
    """Delete a joined upload; return False if it is accepted, or if another request is joining it."""
    with lost_found.locked(upload.directory / INCOMING) as acquired:
        if not acquired or upload.state(context.now()) is UploadState.ACCEPTED:
            return False
        _delete_received(context, upload)
    return True


def joined(context: Context, owner_id: str, headers: Headers) -> StoredUpload | None:
    """Return the accepted upload that a request to join has made before; None for another request.

    Raises:
        Problem: 400 for a malformed header, 412 for another version.
    """
    protocol.check_version(headers)
    concatenation = protocol.concatenation(headers("Upload-Concat"))
    if concatenation is None or not concatenation.is_final:
        return None
    try:
        upload = _load(context, owner_id, _joined_id(concatenation.partial_ids))
    except Problem:  # 404
        return None
    return upload if upload.state(context.now()) is UploadState.ACCEPTED else None


def end_join(context: Context, joined: StoredUpload) -> None:
    """Delete the partial uploads of an accepted joined one, or a joined one that was not accepted."""
    if joined.state(context.now()) is not UploadState.ACCEPTED:
        with context.receptions.joining:
            _remove_unaccepted(context, joined)
        return
    concatenation = protocol.concatenation(joined.concat)
    for name in () if concatenation is None else concatenation.partial_ids:
        with suppress(Problem):  # deleted already
            _remove(context, _load(context, joined.owner_id, name))


def _begin(context: Context, upload: StoredUpload, checksum: Checksum | None) -> Reception:
    """Create the directory and the file of a new upload, after reserving its disk space."""
    make_directory(context.settings.uploads_dir)
    try:
        context.receptions.reserve(context, context.reservations, upload, 0)
    except DATABASE_ERRORS as exc:
        raise database_unavailable(exc) from exc
    try:
        reception = context.receptions.begin(context, upload, checksum, is_new=True)
    except BaseException:
        context.receptions.release(upload.upload_id)
        raise
    try:
        upload.write()
        context.receptions.keep_record(context, upload)
    except BaseException:
        reception.discard()
        _remove(context, upload)
        raise
    return reception


def _remove(context: Context, upload: StoredUpload) -> None:
    shutil.rmtree(upload.directory, ignore_errors=True)
    context.receptions.abandon(context, upload)


def _delete_received(context: Context, upload: StoredUpload) -> None:
    """Delete an upload here only: it has the same id and the same bytes when it is joined again."""
    shutil.rmtree(upload.directory, ignore_errors=True)
    context.receptions.release(upload.upload_id)


def _require_database(context: Context) -> None:
    try:
        context.store.check()
    except DATABASE_ERRORS as exc:
        raise database_unavailable(exc) from exc


def _other_offset(sent: int, offset: int) -> Problem:
    detail = f"Upload-Offset: {sent} was sent, {offset} bytes of this upload are here"
    return Problem(409, "other_offset", detail, offset=offset)


def restore_reservations(context: Context) -> None:
    """Reserve disk space again for the incomplete uploads that a process which has ended has left."""
    root = context.settings.uploads_dir
    for record in root.glob(f"*/{RESUMABLE_RECORD}") if root.exists() else ():
        try:
            upload = load(root, record.parent.name)
            if upload.state(context.now()) is UploadState.RECEIVING:
                context.receptions.reserve(context, context.reservations, upload, upload.offset)
        except (Problem, OSError) as error:  # its next request is refused as long as there is no room
            logger.warning("Upload {}: no disk space reserved: {}", record.parent.name, error)
