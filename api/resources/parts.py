"""The files of a job's parts: with authentication, and by signed link for platforms."""

from __future__ import annotations

from pathlib import PurePosixPath

import falcon

from actors.flow.media_links import BadLink, parse_token
from api.context import Context
from api.http import file_response
from api.http.problems import Problem, not_found
from api.resources import status_document
from api.resources.base import Resource
from files import keys
from store import jobs, segments
from store.jobs import Job

MEDIA_TYPES = {
    "video": "video/mp4", "cover": "image/jpeg", "preview": "image/jpeg", "gaze": "application/json",
}  # fmt: skip


class PartFileResource:
    """GET /jobs/{job_id}/segments/{number}/video, /cover, /preview or /gaze."""

    def __init__(self, context: Context, kind: str) -> None:
        self._context = context
        self._kind = kind

    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        """Send the file, until it is deleted."""
        _send(self._context, request, response, job_id, number, self._kind)

    on_head = on_get


class OriginalResource(Resource):
    """GET /jobs/{job_id}/segments/{number}/original."""

    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str, number: int) -> None:
        """Send the uploaded video, until it is deleted; the status has the times of the part in it."""
        with self._context.store.reading() as connection:
            job = jobs.get(connection, job_id)
            found = [part for part in segments.of_job(connection, job_id) if part.segment_number == number]
        if job is None or not found:
            raise not_found("part")
        if job.source_deleted_at is not None:
            raise Problem(404, "source_deleted", "the uploaded video was deleted")
        media_type, suffix = _source_type(job)
        file_response.send_file(request, response, self._context.files, [job.video_path], media_type)
        response.set_header("Content-Disposition", f'inline; filename="original{suffix}"')

    on_head = on_get


def _source_type(job: Job) -> tuple[str, str]:
    """Return the media type under which browsers play an uploaded video, and the suffix of its file's name."""
    facts = job.facts or {}
    if facts.get("container") != "matroska":
        return "video/mp4", ".mp4"  # also of QuickTime, whose own type Chrome refuses
    if facts.get("video_codec") in {"vp8", "vp9", "av1"}:
        return "video/webm", ".webm"
    return "video/x-matroska", ".mkv"


class SignedPartResource(Resource):
    """GET /media/{token}."""

    public = True

    def on_get(self, request: falcon.Request, response: falcon.Response, token: str) -> None:
        """Send the video of a signed link, until the link expires."""
        try:
            job_id, number = parse_token(self._context.sealer, token, self._context.now())
        except BadLink as exc:
            raise Problem(404, "bad_link", str(exc)) from exc
        _send(self._context, request, response, job_id, number, "video")

    on_head = on_get


def _send(
    context: Context, request: falcon.Request, response: falcon.Response, job_id: str, number: int, kind: str
) -> None:
    with context.store.reading() as connection:
        found = [part for part in segments.of_job(connection, job_id) if part.segment_number == number]
    if not found:
        raise not_found("part")
    wanted = status_document.file_keys(found[0], kind)
    file_response.send_file(request, response, context.files, wanted, MEDIA_TYPES[kind])
    suffix = PurePosixPath(keys.KINDS[kind]).suffix
    response.set_header("Content-Disposition", f'inline; filename="part-{number:03}-{kind}{suffix}"')
