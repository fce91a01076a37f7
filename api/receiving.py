"""Receiving one upload: its fields and its file, in whatever order the form has them, while the bytes come in.

    request headers ─▶ `open_reception` (room, size) ─▶ feed … feed ─▶ `accept` ─▶ a job

Feeding is done by the resource, from a stream, or by the server's receiver, straight from the socket. Whatever goes
wrong on the way, `discard` leaves no file behind.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from api import wishes
from api.context import Context
from api.landing import Landing, check_room, too_large
from api.multipart import BrokenForm, FormReader, boundary_of
from api.problems import Problem, bad_field
from api.wishes import MAX_FIELD_BYTES, Wishes
from platforms import guard
from platforms.errors import Rejected
from platforms.wording import compose
from store import accounts, jobs
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
        self.file_name = ""

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
        try:
            self._reader.feed(piece)
        except BrokenForm as exc:
            raise Problem(400, "broken_form", str(exc)) from exc

    def finish(self) -> tuple[Path, dict[str, str]]:
        """End the body; return where the file is, whole and synced, and the fields.

        Raises:
            Problem: as `feed`; 400 when there is no file.
        """
        try:
            self._reader.finish()
        except BrokenForm as exc:
            raise Problem(400, "broken_form", str(exc)) from exc
        if self._landing is None:
            raise Problem(400, "no_file", "file: the form has no file", field="file")
        return self._landing.land(), self._fields

    def keep(self) -> None:
        """Note that the file belongs to a job now."""
        self._kept = True

    def discard(self) -> None:
        """Leave nothing behind, unless there is a job."""
        if self._landing is not None and not self._kept:
            self._landing.discard()

    def begin(self, name: str, file_name: str | None) -> None:
        """Begin a part of the form."""
        if name in self._fields or (name == "file" and self._landing is not None):
            raise bad_field(wishes.shown_name(name)[:80], "is given twice")
        self._name = name
        if name == "file":
            self._check(self._fields)
            self.file_name = wishes.shown_name(file_name)
            self._landing = Landing(self._directory, limit_bytes=self._limit_bytes)
        else:
            self._field.clear()

    def write(self, piece: bytes) -> None:
        """Take bytes of the part that was begun."""
        if self._name == "file" and self._landing is not None:
            self._landing.write(piece)
            return
        self._field += piece
        if len(self._field) > MAX_FIELD_BYTES:
            raise bad_field(wishes.shown_name(self._name)[:80], f"must be at most {MAX_FIELD_BYTES} bytes")

    def end(self) -> None:
        """End the part that was begun."""
        if self._name != "file":
            try:
                self._fields[self._name] = self._field.decode()
            except UnicodeDecodeError:
                raise bad_field(wishes.shown_name(self._name)[:80], "must be text in UTF-8") from None


def open_reception(context: Context, content_type: str | None, content_length: int | None) -> Reception:
    """Look at the headers of an upload and make ready for its body.

    Raises:
        Problem: 400 or 415 for what is no form, 411 without a length, 413 when it says that it is too large, 503
            without room for it.
    """
    settings = context.settings
    if not (content_type or "").lower().startswith("multipart/form-data"):
        raise Problem(415, "not_a_form", "send the video as multipart/form-data, in the field `file`")
    if content_length is not None and content_length > settings.max_upload_size + FORM_SPARE_BYTES:
        raise too_large(settings.max_upload_size)
    try:
        boundary = boundary_of(content_type or "")
    except BrokenForm as exc:
        raise Problem(400, "broken_form", str(exc)) from exc
    settings.uploads_dir.mkdir(parents=True, exist_ok=True)
    check_room(settings.uploads_dir, content_length or 0)
    return Reception(
        settings.uploads_dir / context.new_id("job_"),
        limit_bytes=settings.max_upload_size,
        boundary=boundary,
        check=lambda fields: wishes.read(fields, context.now()),
    )


def accept(context: Context, reception: Reception) -> Job:
    """Make a job of an upload that has come in.

    Raises:
        Problem: the file or a field is refused; nothing is left of the upload.
    """
    try:
        path, fields = reception.finish()
        asked = wishes.read(fields, context.now())
        check_wishes(context, asked, reception.file_name)
        job = _job(context, reception, path, asked)
        context.intake.accept(job)
        reception.keep()
    except BaseException:
        reception.discard()
        raise
    return job


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
        guard.check(
            url,
            allow_private=context.settings.webhook_allow_private,
            own_hosts=context.settings.own_hosts,
        )
    except (guard.AddressRefused, guard.NameUnknown) as exc:
        raise bad_field(field, exc.detail, reason=exc.code) from exc


def _job(context: Context, reception: Reception, path: Path, asked: Wishes) -> Job:
    settings = context.settings
    intensity, length_s = asked.gaze_intensity, asked.segment_seconds
    return Job(
        id=reception.job_id,
        status=JobStatus.PENDING,
        video_path=str(path.relative_to(settings.data_dir)),
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


def sweep(context: Context) -> int:
    """Delete what uploads have left behind that a dying process could not discard; return how many.

    Only for the start of the one process that receives: an upload under way looks the same.
    """
    swept = 0
    with context.store.reading() as connection:
        for directory in sorted(context.settings.uploads_dir.glob("job_*")):
            if jobs.get(connection, directory.name) is None:
                shutil.rmtree(directory, ignore_errors=True)
                swept += 1
    return swept
