"""The resumable uploads on the disk: one directory for each, named after its future job.

    uploads/<job id>/.tus.json     what the client told when it created the upload
    uploads/<job id>/.incoming     the bytes so far; its size is the offset, its time of change begins the expiry
    uploads/<job id>/.verified     only while a body with a checksum is received: the offset before it
    uploads/<job id>/source        instead of `.incoming`, once the upload is complete and belongs to a job

Nothing else is stored: the state after a crash is what the files say. A deleted `.incoming` is an expired upload.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from actors.recovery.lost_found import INCOMING, RESUMABLE_RECORD, SOURCE, SOURCE_DELETED_MARK
from actors.recovery.resumable import LIFETIME
from api.http.problems import Problem, not_found
from api.uploads.file import RESUMABLE_RECORD_INCOMING, VERIFIED, disk_errors_as_problems, in_use
from store.owners import DEFAULT_OWNER


class UploadState(Enum):
    """The state of a resumable upload."""

    RECEIVING = "receiving"
    ACCEPTED = "accepted"  # the file belongs to a job, or is about to
    EXPIRED = "expired"


@dataclass(frozen=True)
class StoredUpload:
    """One resumable upload.

    Attributes:
        directory: its own.
        length: in bytes; None as long as the client has not told it.
        metadata: the header Upload-Metadata, as it was sent.
        concat: the header Upload-Concat, as it is answered; None for an ordinary upload.
        owner_id: of the key with which it was created.
        maximum: of the length in bytes, as the client expected it at the creation; None if it told none.
    """

    directory: Path
    length: int | None
    metadata: str | None
    concat: str | None
    owner_id: str
    maximum: int | None = None

    @property
    def limit(self) -> int | None:
        """Return the number of bytes that may arrive; None if the client has told none."""
        return self.maximum if self.length is None else self.length

    @property
    def upload_id(self) -> str:
        """Return the id of the upload, and of its future job."""
        return self.directory.name

    @property
    def is_partial(self) -> bool:
        """Return whether it is a partial upload, which never becomes a job of its own."""
        return self.concat == "partial"

    @property
    def is_final(self) -> bool:
        """Return whether it is made of partial uploads."""
        return self.concat is not None and not self.is_partial

    def state(self, now: datetime) -> UploadState:
        """Return what has become of it."""
        if any((self.directory / name).exists() for name in (SOURCE, SOURCE_DELETED_MARK)):
            return UploadState.ACCEPTED
        expires_at = self.expires_at
        return UploadState.RECEIVING if expires_at is not None and now < expires_at else UploadState.EXPIRED

    @property
    def expires_at(self) -> datetime | None:
        """Return the time at which it is deleted, unless more bytes arrive; None without a file."""
        try:
            return datetime.fromtimestamp((self.directory / INCOMING).stat().st_mtime, UTC) + LIFETIME
        except FileNotFoundError:
            return None

    @property
    def offset(self) -> int:
        """Return the number of verified bytes, while no request writes.

        Raises:
            Problem: 423 if it is accepted, deleted or expired at this moment.
        """
        try:
            size = (self.directory / INCOMING).stat().st_size
        except FileNotFoundError as error:
            raise in_use() from error
        try:
            return min(size, int((self.directory / VERIFIED).read_text()))
        except (FileNotFoundError, ValueError):
            return size

    @property
    def record(self) -> bytes:
        """Return what the client told, for `decode`."""
        fields = asdict(self)
        del fields["directory"]
        return json.dumps(fields).encode()

    def write(self) -> None:
        """Write what the client told.

        Not synced: after a power cut the client gets a 404, and begins again.

        Raises:
            Problem: 503 for a disk error.
        """
        draft = self.directory / RESUMABLE_RECORD_INCOMING
        with disk_errors_as_problems():
            draft.write_text(self.record.decode())
            draft.rename(self.directory / RESUMABLE_RECORD)


def load(root: Path, upload_id: str) -> StoredUpload:
    """Return an upload of any owner.

    Args:
        root: the uploads' directory.
        upload_id: of the upload; checked by the caller to be one path component.

    Raises:
        Problem: 404.
    """
    directory = root / upload_id
    try:
        return decode(directory, (directory / RESUMABLE_RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise not_found("upload") from None


def decode(directory: Path, record: bytes) -> StoredUpload:
    """Return the upload that a record describes.

    Raises:
        Problem: 404 if it is cut off, as by a power cut.
    """
    try:
        return StoredUpload(directory=directory, **({"owner_id": DEFAULT_OWNER} | json.loads(record)))
    except (ValueError, TypeError):
        raise not_found("upload") from None


def gone() -> Problem:
    """Return the 410 for an expired upload."""
    hours = LIFETIME // timedelta(hours=1)
    return Problem(410, "upload_expired", f"no byte of this upload arrived for {hours} hours; it was deleted")
