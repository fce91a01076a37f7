"""Jobs: list, status, cancel, retry, approve, delete."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import falcon
from pydantic import BaseModel, ConfigDict, Field

from actors.flow import job_commands, word_commands
from actors.flow.cut_plan import MAX_CHOSEN_PARTS, Outdated
from api.context import Context
from api.http import conditional, json_body, json_values, navigation, page_paths, time_cursor
from api.http.auth import owner_of
from api.http.numbers import query_limit
from api.http.problems import Problem, not_found
from api.resources import documents, status_document
from api.resources.base import Resource
from api.resources.job_document import job_document
from api.resources.plans import changed_meanwhile
from api.resources.post_changes import MAX_CHANGE_BYTES, JobChange
from api.resources.publications import refusals
from store import job_numbers, jobs
from store.jobs import Job

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


PartNumber = Annotated[int, Field(ge=1, strict=True)]


class Approval(BaseModel):
    """An approval of a job."""

    model_config = ConfigDict(extra="forbid")
    parts: Annotated[
        Annotated[list[PartNumber], Field(min_length=1, max_length=MAX_CHOSEN_PARTS)] | None,
        Field(description="Numbers of the parts that are approved. Default: all, also those that are rendered later."),
    ] = None


class StatusResource(Resource):
    """GET /status/{job_id}."""

    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Show the status of a job; 304 if it is unchanged since the given ETag.

        A browser that opens the address (`status_url` of an upload) is led to the page, which shows the same.
        """
        document = job_document(self._context, job_id)
        if navigation.is_navigation(request):
            response.append_header("Vary", "Accept")
            response.location = page_paths.of_video(quote(job_id, safe=""))
            response.status = falcon.HTTP_303
            return
        body = json_values.write(document)
        response.cache_control = ["private", "no-cache"]
        if conditional.not_modified(request, response, conditional.content_tag(body)):
            return
        response.content_type = falcon.MEDIA_JSON
        response.data = body


class JobsResource(Resource):
    """GET /jobs."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the jobs, newest first, in pages."""
        limit = query_limit(request, default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
        before = time_cursor.query(request)
        forecast = self._context.forecasts.get(self._context)
        with self._context.store.reading() as connection:
            found = jobs.page(connection, owner_of(request), limit=limit + 1, before=before)
            ids = [job.id for job in found[:limit]]
            parts, posts = job_numbers.parts_of(connection, ids), job_numbers.posts_of(connection, ids)
        listed = [status_document.summary(job, parts[job.id], posts[job.id], forecast) for job in found[:limit]]
        response.cache_control = ["private", "no-cache"]
        page: documents.JobsDocument = {
            "jobs": listed,
            "next": time_cursor.next_page([(job.created_at, job.id) for job in found], limit),
        }
        response.media = page


class JobResource(Resource):
    """PATCH and DELETE /jobs/{job_id}."""

    def on_patch(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Change the posts of a job that have not begun; return its status document."""
        change, now = json_body.read_body(request, JobChange, MAX_CHANGE_BYTES), self._context.now()
        with refusals("job"):
            word_commands.change_job(self._context, job_id, change.words(now), change.time(now))
        response.media = job_document(self._context, job_id)

    def on_delete(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Cancel a job that has not ended, and delete its files; its record is kept."""
        del request
        if not job_commands.delete(self._context, job_id):
            raise not_found("job")
        response.status = falcon.HTTP_204


class CancelResource(Resource):
    """POST /jobs/{job_id}/cancel."""

    def on_post(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Cancel a job: rendering and publishing stop, and its files are deleted."""
        del request
        if not job_commands.cancel(self._context, job_id):
            raise _conflict(self._context, job_id, "the job has already ended")
        response.media = _state(self._context, job_id)


class RetryResource(Resource):
    """POST /jobs/{job_id}/retry."""

    def on_post(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Retry the failed parts and publications of a job."""
        del request
        retry = job_commands.retry(self._context, job_id)
        if not retry and retry.out_of_order:
            detail = "later parts were published before; retry the publications one by one with out_of_order"
            raise Problem(409, "out_of_order", detail, publications=retry.out_of_order)
        if not retry:
            raise _conflict(self._context, job_id, "nothing of this job failed, or its files were deleted")
        response.status = falcon.HTTP_202
        state = _state(self._context, job_id)
        retried: documents.JobRetryDocument = {**state, "out_of_order": retry.out_of_order}
        response.media = retried


class ApproveResource(Resource):
    """POST /jobs/{job_id}/approve."""

    def on_post(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Approve a job or some of its parts; what is not ready yet is published later.

        With the ETag of the plan as If-Match, only if the parts are still those that were seen.
        """
        has_body = request.content_length not in {None, 0}
        approval = json_body.read_body(request, Approval) if has_body else Approval()
        version = conditional.given_tag(request)
        with refusals("job"):
            try:
                is_approved = job_commands.approve(self._context, job_id, approval.parts, version)
            except Outdated as outdated:
                raise changed_meanwhile(outdated) from None
        if not is_approved:
            raise _conflict(self._context, job_id, "the job needs no approval")
        response.media = _state(self._context, job_id)


class ApproveRestoredResource(Resource):
    """POST /jobs/approve-restored."""

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Approve all jobs that wait for no other reason than that they are restored from a backup."""
        approved, left = job_commands.approve_restored(self._context, owner_of(request))
        counts: documents.RestoredApprovalDocument = {"approved": approved, "left": left}
        response.media = counts


def _get(context: Context, job_id: str) -> Job:
    with context.store.reading() as connection:
        job = jobs.get(connection, job_id)
    if job is None:
        raise not_found("job")
    return job


def _state(context: Context, job_id: str) -> documents.JobStateDocument:
    return {"job_id": job_id, "status": _get(context, job_id).status}


def _conflict(context: Context, job_id: str, detail: str) -> Problem:
    return Problem(409, "wrong_state", detail, job_status=_get(context, job_id).status)
