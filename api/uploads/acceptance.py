"""Acceptance of a complete upload: commits its job, or replays the response of its idempotency key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from loguru import logger

from actors.flow import forecast_cache, job_commands
from actors.flow.forecast_cache import AllOut
from actors.recovery import lost_found, upload_record
from actors.recovery.lost_found import SOURCE, SOURCE_DELETED_MARK
from api.context import Context
from api.http import idempotency
from api.resources import documents
from api.resources.status_document import timestamp
from api.uploads.checks import check_options
from api.uploads.options import UploadOptions, parse_options, post_options
from api.uploads.upload import stored_answer
from files import keys
from store import CommitUnclear, jobs
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.states import JobStatus, ReviewReason

JOB_ID, ALL_OUT_BY = "X-Job-Id", "X-All-Out-By"


class CompleteUpload(Protocol):
    """An upload all of whose bytes have arrived: of a form, or a resumable one."""

    key_hash: str | None
    """Of its idempotency key; None without one."""

    @property
    def owner_id(self) -> str:
        """Return the owner of the key with which it was sent."""

    @property
    def fingerprint(self) -> str:
        """Return its fingerprint, if it has an idempotency key."""

    @property
    def job_id(self) -> str:
        """Return the id of the future job."""

    @property
    def file_name(self) -> str:
        """Return the name of the file, to be shown only."""

    @property
    def size_bytes(self) -> int:
        """Return the size of the file."""

    def finish(self) -> dict[str, str]:
        """End the body; return the fields."""

    def finalize_file(self, record: bytes) -> None:
        """Sync the file and rename it to its final name, with a record beside it."""

    def keep(self) -> None:
        """Keep the file: it belongs to a job, or it is unknown whether the job was committed."""

    def release_key(self) -> None:
        """Release the idempotency key for other requests."""

    def discard(self) -> None:
        """End the upload without a job, unless `keep` was called."""


@dataclass(frozen=True)
class UploadResponse:
    """The response to an upload; its body is JSON."""

    status: int
    headers: dict[str, str]
    body: str


def accept(context: Context, upload: CompleteUpload) -> UploadResponse:
    """Create the job of an upload, or replay the stored response of its idempotency key.

    Call `Upload.discard` after the response was sent: deleting 500 MB takes 0.2 s (measured 2026-11-28).

    Raises:
        Problem: the file or a field is refused, or the key belongs to another upload; the upload is discarded.
        DatabaseUnavailable: it was not accepted, or it is unknown whether it was; in that case its file is kept.
        CommitUnclear: it is unknown whether it was accepted; its file is kept.
    """
    try:
        fields = upload.finish()
        stored = stored_answer(context, upload.key_hash)  # first: what was accepted then might be refused today
        found = stored or _create_job(context, upload, fields)
        if isinstance(found, UploadResponse):
            upload.keep()
            return found
        response = _replay(found, upload)
        upload.release_key()
    except BaseException:
        upload.discard()
        raise
    return response


def _create_job(context: Context, upload: CompleteUpload, fields: dict[str, str]) -> UploadResponse | StoredAnswer:
    """Return the response for a new job, or a concurrent request's stored one."""
    options = parse_options(fields, context.now())
    check_options(context, options, upload.file_name, upload.owner_id)
    job = _new_job(context, upload, options)
    response = _response(job, _all_out(context, job))
    to_store = _to_store(response, job, upload)
    upload.finalize_file(upload_record.encode(job, context.sealer, to_store))
    stored = _commit_job(context, upload, job, to_store)
    if stored is None:
        lost_found.mark_accepted(context, job.id)
        _settle(context, job)
    return stored or response


def _all_out(context: Context, job: Job) -> AllOut:
    """Return when all parts of a new job will be published; without a forecast the upload is accepted all the same."""
    try:
        return forecast_cache.all_out_of_new_job(context, job)
    except Exception as error:  # noqa: BLE001 (whatever is wrong with the forecast is no fault of the upload)
        logger.warning("Job {}: no forecast for the answer to its upload: {}", job.id, error)
        return AllOut()


def _response(job: Job, all_out: AllOut) -> UploadResponse:
    status_url = f"/status/{job.id}"  # relative: behind a proxy the public scheme is unknown
    by = timestamp(all_out.at)
    document: documents.UploadDocument = {
        "job_id": job.id,
        "status": job.status,
        "status_url": status_url,
        "all_out_by": by,
        "all_out_reason": all_out.reason,
    }
    headers = {"Location": status_url, JOB_ID: job.id} | ({} if by is None else {ALL_OUT_BY: by})
    return UploadResponse(202, headers, json.dumps(document))


def _to_store(response: UploadResponse, job: Job, upload: CompleteUpload) -> StoredAnswer | None:
    if upload.key_hash is None:
        return None
    return StoredAnswer(
        key_hash=upload.key_hash,
        fingerprint=upload.fingerprint,
        job_id=job.id,
        status=response.status,
        headers=response.headers,
        body=response.body,
        expires_at=job.created_at + idempotency.RETENTION,
    )


def _replay(stored: StoredAnswer, upload: CompleteUpload) -> UploadResponse:
    if stored.fingerprint != upload.fingerprint:
        raise idempotency.key_reused(stored.job_id)
    return UploadResponse(stored.status, {**stored.headers, idempotency.REPLAYED: "true"}, stored.body)


def _commit_job(
    context: Context, upload: CompleteUpload, job: Job, to_store: StoredAnswer | None
) -> StoredAnswer | None:
    """Commit the job; keep the file also if an error hides whether the commit succeeded."""
    try:
        return job_commands.accept(context, job, to_store)
    except CommitUnclear:
        upload.keep()  # the transaction may end later than a question about it
        raise
    except BaseException:
        if _may_be_committed(context, job.id):
            upload.keep()
        raise


def _settle(context: Context, job: Job) -> None:
    """Give up the received file if the storage is elsewhere, and has it."""
    if not context.settings.is_remote:
        return
    directory = context.settings.uploads_dir / job.id
    try:
        (directory / SOURCE_DELETED_MARK).touch()  # as after the deletion of the file: the upload is complete
        context.files.settle(job.video_path, directory / SOURCE)
    except OSError as error:  # the file goes with the job
        logger.warning("Job {}: its received file stays on this machine: {}", job.id, error)


def _may_be_committed(context: Context, job_id: str) -> bool:
    try:
        with context.store.reading() as connection:
            return jobs.get(connection, job_id) is not None
    except Exception as error:  # noqa: BLE001 (the caller raises the first error)
        # Unknown: the upload must not be deleted.
        logger.warning("Job {}: unknown whether it was committed: {}", job_id, error)
        return True


def _new_job(context: Context, upload: CompleteUpload, options: UploadOptions) -> Job:
    settings = context.settings
    intensity, length_s = options.gaze_intensity, options.segment_seconds
    asked = {
        ReviewReason.REQUESTED: settings.review if options.review is None else options.review,
        ReviewReason.DRY_RUN: settings.dry_run if options.dry_run is None else options.dry_run,
    }
    return Job(
        id=upload.job_id,
        owner_id=upload.owner_id,
        status=JobStatus.PENDING,
        video_path=keys.source(upload.job_id),
        created_at=context.now(),
        review_reasons=[reason for reason, is_asked in asked.items() if is_asked] or None,
        platforms=options.platforms,
        gaze_intensity=settings.gaze_intensity if intensity is None else intensity,
        segment_seconds=settings.segment_seconds if length_s is None else length_s,
        metadata=options.metadata,
        webhook_url=options.webhook_url,
        title=options.title,
        caption=options.caption,
        original_name=upload.file_name,
        size_bytes=upload.size_bytes,
        publish_after=options.publish_after,
        accounts=options.accounts,
        post_options=post_options(options, context.now()),
        stated_duration_s=options.duration_s,
    )
