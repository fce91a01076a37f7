"""Receiving one upload: its fields and its file, in whatever order the form has them, while the bytes come in.

    request headers ─▶ `open_reception` (room, size) ─▶ feed … feed ─▶ `accept` ─▶ a job

Feeding is done by the resource, from a stream, or by the server's receiver, straight from the socket. Whatever goes
wrong on the way, `discard` leaves no file behind.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loguru import logger

from actors.flow import job_commands
from actors.recovery import lost_found, upload_record
from actors.recovery.lost_found import SOURCE
from api.context import Context
from api.http import idempotency
from api.http.idempotency import Fingerprint, InProgress
from api.http.problems import Problem, bad_field, database_unavailable
from api.uploads import options
from api.uploads.file import Landing, delete_half_received, make_room, too_large
from api.uploads.multipart import BrokenForm, FormReader, boundary_of
from api.uploads.options import MAX_FIELD_BYTES, Wishes
from platforms.errors import Rejected
from platforms.http import address_guard
from platforms.wording import compose
from store import DatabaseUnavailable, accounts, idempotency_keys, jobs
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.states import JobStatus

# What the fields and the part headers of a form may take beside the file.
FORM_SPARE_BYTES = 2**20
# The numbering of a title is longest in a video of this many parts; whether it fits is checked with it.
MOST_PARTS = 999


class Reception:
    """One upload on its way in; takes the parts of the form."""

    def __init__(
        self, directory: Path, *, limit_bytes: int, boundary: bytes, check: Callable[[dict[str, str]], object]
    ) -> None:
        """Prepare.

        Args:
            directory: the upload's own, named after the job that it will be; made when the file begins.
            limit_bytes: of the file.
            check: refuses wrong fields; asked when the file begins, so that fields that come first are refused before
                the file has come. It runs on the server's loop: no network, no database.
        """
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._reader = FormReader(boundary, self)
        self._fields: dict[str, str] = {}
        self._name = ""
        self._field = bytearray()
        self._check = check
        self._landing: Landing | None = None
        self._kept = False
        self._fed_at = time.monotonic()
        self._complete = False
        self._fingerprint: Fingerprint | None = None
        self._in_progress: InProgress | None = None
        self.key_hash: str | None = None
        self.file_name = ""

    def use_key(self, key_hash: str, in_progress: InProgress) -> None:
        """Set the upload's idempotency key, before its first byte.

        Raises:
            Problem: 409 when another request with this key is in progress.
        """
        in_progress.begin(key_hash, self)
        self._in_progress = in_progress
        self._fingerprint = Fingerprint()
        self.key_hash = key_hash

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
        """The id that the job will have."""
        return self._directory.name

    @property
    def size_bytes(self) -> int:
        """How much of the file has come."""
        return self._landing.size_bytes if self._landing else 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the request's body.

        Raises:
            Problem: the upload is refused; `discard` it.
        """
        self._fed_at = time.monotonic()
        try:
            self._reader.feed(piece)
        except BrokenForm as exc:
            raise Problem(400, "broken_form", str(exc)) from exc

    def finish(self) -> dict[str, str]:
        """End the body; return the fields.

        Raises:
            Problem: as `feed`; 400 when there is no file.
        """
        self._complete = True
        try:
            self._reader.finish()
        except BrokenForm as exc:
            raise Problem(400, "broken_form", str(exc)) from exc
        if self._landing is None:
            raise _no_file()
        return self._fields

    def land(self, record: bytes) -> None:
        """Sync the file of a complete upload and rename it to its final name.

        Args:
            record: written beside the file.

        Raises:
            Problem: as `finish`; 503 when the disk is full.
        """
        if self._landing is None:
            raise _no_file()
        self._landing.land(record)

    def keep(self) -> None:
        """Keep the file: it belongs to a job, or it is unknown whether the job was committed."""
        self._kept = True
        self.release_key()
        if self._landing is not None:
            self._landing.keep()

    def discard(self) -> None:
        """Leave nothing behind, unless there is a job."""
        self.release_key()
        if self._landing is not None and not self._kept:
            self._landing.discard()

    def release_key(self) -> None:
        """Release the idempotency key for other requests."""
        if self._in_progress is not None and self.key_hash is not None:
            self._in_progress.end(self.key_hash, self)

    def begin(self, name: str, file_name: str | None) -> None:
        """Begin a part of the form."""
        if name in self._fields or (name == "file" and self._landing is not None):
            raise bad_field(options.shown_name(name)[:80], "is given twice")
        self._name = name
        if name == "file":
            self._check(self._fields)
            self.file_name = options.shown_name(file_name)
            self._landing = Landing(self._directory, limit_bytes=self._limit_bytes)
        else:
            self._field.clear()

    def write(self, piece: bytes) -> None:
        """Take bytes of the part that was begun."""
        if self._name == "file" and self._landing is not None:
            self._landing.write(piece)
            if self._fingerprint is not None:
                self._fingerprint.update(piece)
            return
        self._field += piece
        if len(self._field) > MAX_FIELD_BYTES:
            raise bad_field(options.shown_name(self._name)[:80], f"must be at most {MAX_FIELD_BYTES} bytes")

    def end(self) -> None:
        """End the part that was begun."""
        if self._name != "file":
            try:
                self._fields[self._name] = self._field.decode()
            except UnicodeDecodeError:
                raise bad_field(options.shown_name(self._name)[:80], "must be text in UTF-8") from None


def _no_file() -> Problem:
    return Problem(400, "no_file", "file: the form has no file", field="file")


def open_reception(
    context: Context,
    content_type: str | None,
    content_length: int | None,
    *,
    identity: str = "",
    idempotency_key: str | None = None,
) -> Reception:
    """Look at the headers of an upload and make ready for its body.

    Args:
        identity: of the caller, from `Keys.admit`; an idempotency key is the caller's own.
        idempotency_key: the header's value, if it was sent.

    Raises:
        Problem: 400 or 415 for what is no form, 400 for an idempotency key that cannot be used, 409 for one that is in
            use, 413 when it says that it is too large, 503 without room for it, or without a database that would
            remember it.
    """
    settings = context.settings
    try:
        context.store.check()
    except DatabaseUnavailable as exc:
        raise database_unavailable(exc) from exc
    key = None if idempotency_key is None else idempotency.parse(idempotency_key)
    if not (content_type or "").lower().startswith("multipart/form-data"):
        raise Problem(415, "not_a_form", "send the video as multipart/form-data, in the field `file`")
    if content_length is not None and content_length > settings.max_upload_size + FORM_SPARE_BYTES:
        raise too_large(settings.max_upload_size)
    try:
        boundary = boundary_of(content_type or "")
    except BrokenForm as exc:
        raise Problem(400, "broken_form", str(exc)) from exc
    make_room(settings.uploads_dir, content_length or 0)
    reception = Reception(
        settings.uploads_dir / context.new_id("job_"),
        limit_bytes=settings.max_upload_size,
        boundary=boundary,
        check=lambda fields: options.read(fields, context.now()),
    )
    if key is not None:
        reception.use_key(idempotency.key_hash(identity, key), context.in_progress)
    return reception


@dataclass(frozen=True)
class Answer:
    """The answer to an upload; its body is JSON."""

    status: int
    headers: dict[str, str]
    body: str


def accept(context: Context, reception: Reception) -> Answer:
    """Make a job of an upload, or replay the stored answer of its idempotency key.

    Call `discard` after the answer was sent: deleting 500 MB takes 0.2 s (measured 2026-11-28).

    Raises:
        Problem: the file or a field is refused, or the key belongs to another upload; the upload is discarded.
        DatabaseUnavailable: it was not accepted, or it is unknown whether it was; in that case its file is kept.
    """
    try:
        fields = reception.finish()
        stored = _stored_answer(context, reception)  # first: what was accepted then might be refused today
        found = stored or _make_job(context, reception, fields)
        if isinstance(found, Answer):
            reception.keep()
            return found
        answer = _replayed(found, reception)
        reception.release_key()
    except BaseException:
        reception.discard()
        raise
    return answer


def _stored_answer(context: Context, reception: Reception) -> StoredAnswer | None:
    if reception.key_hash is None:
        return None
    with context.store.reading() as connection:
        return idempotency_keys.get(connection, reception.key_hash, context.now())


def _make_job(context: Context, reception: Reception, fields: dict[str, str]) -> Answer | StoredAnswer:
    """Return the answer of a new job, or a concurrent request's stored one."""
    asked = options.read(fields, context.now())
    check_wishes(context, asked, reception.file_name)
    job = _job(context, reception, asked)
    answer = _answer(job)
    to_store = _stored_form(answer, job, reception)
    reception.land(upload_record.encode(job, context.sealer, to_store))
    stored = _commit_job(context, reception, job, to_store)
    if stored is None:
        lost_found.mark_accepted(context.machine, job.id)
    return stored or answer


def _answer(job: Job) -> Answer:
    place = f"/status/{job.id}"  # relative: behind a proxy we do not know our own scheme
    body = json.dumps({"job_id": job.id, "status": job.status, "status_url": place})
    return Answer(202, {"Location": place, "X-Job-Id": job.id}, body)


def _stored_form(answer: Answer, job: Job, reception: Reception) -> StoredAnswer | None:
    if reception.key_hash is None:
        return None
    return StoredAnswer(
        key_hash=reception.key_hash,
        fingerprint=reception.fingerprint,
        job_id=job.id,
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        expires_at=job.created_at + idempotency.KEPT,
    )


def _replayed(stored: StoredAnswer, reception: Reception) -> Answer:
    if stored.fingerprint != reception.fingerprint:
        raise idempotency.reused(stored.job_id)
    return Answer(stored.status, {**stored.headers, idempotency.REPLAYED: "true"}, stored.body)


def _commit_job(context: Context, reception: Reception, job: Job, answer: StoredAnswer | None) -> StoredAnswer | None:
    """Commit the job with `job_commands.accept`; keep the file also if an error hides whether the commit succeeded."""
    try:
        return job_commands.accept(context.machine, job, answer)
    except BaseException:
        if _may_be_recorded(context, job.id):
            reception.keep()
        raise


def _may_be_recorded(context: Context, job_id: str) -> bool:
    try:
        with context.store.reading() as connection:
            return jobs.get(connection, job_id) is not None
    except Exception as error:  # noqa: BLE001 (the caller raises the first error)
        # Unknown: the upload must not be deleted.
        logger.warning("job {}: unknown whether it was accepted: {}", job_id, error)
        return True


def check_wishes(context: Context, asked: Wishes, file_name: str) -> None:
    """Check what only this machine can know: its accounts, its network, what its platforms take.

    Args:
        file_name: what a video without a title is called.

    Raises:
        Problem: 409 for a platform without an account, 422 for a field.
    """
    with context.store.reading() as connection:
        usable = {account.platform for account in accounts.connected(connection)}
    for platform in asked.platforms or ():
        if platform not in usable:
            detail = f"platforms: no {platform} account is connected; connect one at /connect/{platform}"
            raise Problem(409, "account_missing", detail, field="platforms", platform=platform)
    for platform in asked.platforms or sorted(usable):
        _check_words(platform, asked.title or file_name, asked.caption)
    if asked.webhook_url is not None:
        check_address(context, "webhook_url", asked.webhook_url)


def _check_words(platform: str, title: str, caption: str) -> None:
    for field, words in (("title", ""), ("caption", caption)):
        try:
            compose(platform, title, words, MOST_PARTS, MOST_PARTS)
        except Rejected as exc:
            raise bad_field(field, exc.detail, platform=platform, reason=exc.code) from exc


def check_address(context: Context, field: str, url: str) -> None:
    """Refuse an address that we shall not call.

    Raises:
        Problem: 422 with the guard's code as `reason`.
    """
    try:
        address_guard.check(
            url,
            allow_private=context.settings.webhook_allow_private,
            own_hosts=context.settings.own_hosts,
        )
    except (address_guard.AddressRefused, address_guard.NameUnknown) as exc:
        raise bad_field(field, exc.detail, reason=exc.code) from exc


def _job(context: Context, reception: Reception, asked: Wishes) -> Job:
    settings = context.settings
    intensity, length_s = asked.gaze_intensity, asked.segment_seconds
    return Job(
        id=reception.job_id,
        status=JobStatus.PENDING,
        video_path=f"uploads/{reception.job_id}/{SOURCE}",
        created_at=context.now(),
        platforms=asked.platforms,
        gaze_intensity=settings.gaze_intensity if intensity is None else intensity,
        segment_seconds=settings.segment_seconds if length_s is None else length_s,
        metadata=asked.metadata,
        webhook_url=asked.webhook_url,
        title=asked.title,
        caption=asked.caption,
        original_name=reception.file_name,
        size_bytes=reception.size_bytes,
        publish_after=asked.publish_after,
    )


def begin_receiving(context: Context) -> IO[bytes]:
    """Sweep, unless another process receives in this data directory; return what says that this one does.

    An upload begins with an empty directory, which no lock protects. So whoever receives shares a lock, and only who
    has it alone sweeps.

    Raises:
        DatabaseUnavailable: as `sweep`.
    """
    lock = (context.settings.data_dir / "receiving.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.warning("another process receives uploads here: nothing is swept")
    else:
        swept = sweep(context)
        if swept:
            logger.info("{} uploads that were cut off are deleted", swept)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def sweep(context: Context) -> int:
    """Delete uploads that were cut off by the death of the process that received them; return how many.

    Whole files without a record are moved to lost+found.

    Raises:
        DatabaseUnavailable: the records cannot be read; no whole file was moved.
    """
    root = context.settings.uploads_dir
    directories = [path for path in root.glob("job_*") if path.is_dir() and not path.is_symlink()]
    swept = 0
    for directory in directories:
        with lost_found.errors_logged(directory):  # a directory without permission must not prevent the start
            swept += delete_half_received(directory)
    lost_found.move_unrecorded(context.machine)
    return swept
