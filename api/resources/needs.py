"""GET /needs-you: everything that waits for a person, as one list; its length is the number that the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import falcon
from sqlalchemy import Connection

from api.http import conditional, json_values
from api.http.auth import owner_of
from api.resources import owner_documents as documents
from api.resources.base import Resource
from api.resources.status_document import timestamp
from platforms.next_steps import next_step
from store import endpoints, needs
from store.accounts import Account
from store.jobs import Job
from store.needs import FailedJob, StuckPost
from store.owners import DEFAULT_OWNER
from store.states import UNUSABLE_CODES, AccountStatus, EndpointState, PublicationStatus, SegmentStatus
from store.webhooks import Endpoint

DRAFTS_LAST = timedelta(days=7)
"""Time for which a draft is listed; TikTok deletes none, and tells nobody whether it was."""

MAX_ITEMS = 200  # of each kind
REQUESTED = "requested"  # code of an endpoint that a person has disabled
_REPRESENTED = ("split", "gaze", "publish_")
"""Beginnings of the actors whose dead letters are in the list as failed videos and posts."""

_POST_KINDS: dict[PublicationStatus, documents.NeedKind] = {
    PublicationStatus.ACTION_NEEDED: "draft",
    PublicationStatus.OUTCOME_UNKNOWN: "outcome_unknown",
    PublicationStatus.FAILED: "post_failed",
    PublicationStatus.EXPIRED: "post_failed",
}


class NeedsResource(Resource):
    """GET /needs-you."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List what waits for a person; 304 if it is unchanged since the given ETag."""
        document: documents.NeedsDocument = {"items": list(self._items(owner_of(request)))}
        body = json_values.write(document)
        response.cache_control = ["private", "no-cache"]
        if conditional.not_modified(request, response, conditional.content_tag(body)):
            return
        response.content_type = falcon.MEDIA_JSON
        response.data = body

    def _items(self, owner_id: str) -> Iterator[documents.NeedDocument]:
        is_operator = owner_id == DEFAULT_OWNER
        if is_operator:
            yield from self._machine()
        with self._context.store.reading() as connection:
            yield from map(_account, needs.unusable_accounts(connection, owner_id))
            yield from map(_review, needs.reviews(connection, owner_id, limit=MAX_ITEMS))
            yield from self._posts(connection, owner_id)
            yield from map(_failed_job, needs.failed_jobs(connection, owner_id, limit=MAX_ITEMS))
            yield from map(_endpoint, filter(_is_lost, endpoints.in_trouble(connection, owner_id)))
        for letter in self._context.broker.admin.dead_letters(limit=MAX_ITEMS) if is_operator else ():
            if not letter.actor.startswith(_REPRESENTED):
                yield _item("dead_letter", str(letter.id), since=timestamp(letter.died_at), code=letter.actor)

    def _machine(self) -> Iterator[documents.NeedDocument]:
        disk = self._context.disk
        if disk.free_bytes <= disk.sizes.headroom_bytes:
            yield _item("disk", "disk", reason=f"{disk.free_bytes // 10**6} MB are free")

    def _posts(self, connection: Connection, owner_id: str) -> Iterator[documents.NeedDocument]:
        since = self._context.now() - DRAFTS_LAST
        for post in needs.posts(connection, owner_id, drafts_since=since, limit=MAX_ITEMS):
            yield _post(post)


def _post(post: StuckPost) -> documents.NeedDocument:
    kind = _POST_KINDS[post.status]
    words = post.words or {}
    return _item(
        kind,
        post.id,
        since=timestamp(post.ended_at),
        code=post.code,
        reason=post.reason,
        next_step=next_step(post.code) if post.code and kind != "draft" else None,
        job_id=post.job_id,
        title=post.title or post.original_name,
        part=post.segment_number,
        of=post.segment_count,
        platform=post.platform,
        account_id=post.account_id,
        account=post.account,
        caption=str(words.get("caption") or post.caption) if kind == "draft" else None,
    )


def _account(account: Account) -> documents.NeedDocument:
    return _item(
        "account",
        account.id,
        code=UNUSABLE_CODES[AccountStatus(account.status)],
        reason=account.reason,
        platform=account.platform,
        account_id=account.id,
        account=account.name,
    )


def _review(job: Job) -> documents.NeedDocument:
    reasons = job.review_reasons or [REQUESTED]
    return _item(
        "review",
        job.id,
        since=timestamp(job.created_at),
        code=reasons[-1],
        job_id=job.id,
        title=job.title or job.original_name,
        of=job.segment_count,
    )


def _failed_job(job: FailedJob) -> documents.NeedDocument:
    return _item(
        "video_failed",
        job.id,
        since=timestamp(job.ended_at),
        code=job.error_code or SegmentStatus.FAILED,
        reason=job.error,
        job_id=job.id,
        title=job.title or job.original_name,
        part=job.parts or None,
    )


def _is_lost(endpoint: Endpoint) -> bool:
    return endpoint.state is EndpointState.DISABLED and endpoint.disabled_code != REQUESTED


def _endpoint(endpoint: Endpoint) -> documents.NeedDocument:
    return _item(
        "endpoint",
        endpoint.id,
        since=timestamp(endpoint.disabled_at),
        code=endpoint.disabled_code,
        reason=endpoint.last_error,
        title=endpoint.url,
    )


def _item(
    kind: documents.NeedKind,
    item_id: str,
    *,
    since: str | None = None,
    code: str | None = None,
    reason: str | None = None,
    next_step: str | None = None,
    job_id: str | None = None,
    title: str = "",
    part: int | None = None,
    of: int | None = None,
    platform: str | None = None,
    account_id: str | None = None,
    account: str | None = None,
    caption: str | None = None,
) -> documents.NeedDocument:
    return {
        "kind": kind, "id": item_id, "since": since, "code": code, "reason": reason, "next_step": next_step,
        "job_id": job_id, "title": title, "part": part, "of": of, "platform": platform, "account_id": account_id,
        "account": account, "caption": caption,
    }  # fmt: skip
