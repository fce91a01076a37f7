"""GET /accounts/{account_id}/creator: the creator, and what a post of the account may choose now."""

from __future__ import annotations

import falcon

from actors.flow import tokens
from api.http.problems import Problem, not_found
from api.resources import publication_documents as documents
from api.resources.base import Resource
from platforms import registry
from platforms.creator import Creator
from platforms.errors import PlatformError, TryLater, Unclear
from platforms.http.exchange import Response
from platforms.http.local_answers import OutgoingRequest, answered_by
from store import accounts
from store.states import AccountStatus


class CreatorResource(Resource):
    """GET /accounts/{account_id}/creator."""

    def on_get(self, request: falcon.Request, response: falcon.Response, account_id: str) -> None:
        """Ask the platform, or answer from what it has said within the last minute."""
        del request
        with self._context.store.reading() as connection:
            account = accounts.get(connection, account_id)
        if account is None or account.status is AccountStatus.DISCONNECTED:
            raise not_found("account")
        platform = registry.PLATFORMS.get(account.platform)
        if platform is None or platform.creator is None:
            raise Problem(
                409, "not_offered", f"{registry.display_name(account.platform)} tells nothing about a creator"
            )
        try:
            access = tokens.get_access(self._context, account_id).account
            with answered_by(lambda outgoing: self._read(account_id, outgoing)):
                creator = platform.creator(self._context.hosts, access.access_token)
        except PlatformError as error:
            raise _problem(error) from None
        response.cache_control = ["private", "no-store"]
        response.media = _document(account_id, account.platform, creator)

    def _read(self, account_id: str, outgoing: OutgoingRequest) -> Response:
        return self._context.platform_reads.get(account_id, outgoing) or Response(status=503, headers={}, body=b"")


def _problem(error: PlatformError) -> Problem:
    """Return 503 for what may pass, 409 for what a person has to settle."""
    if isinstance(error, TryLater | Unclear):
        return Problem(503, error.code, error.reason, headers={"Retry-After": str(max(1, round(error.retry_after_s)))})
    return Problem(409, error.code, error.reason)


def _document(account_id: str, platform: str, creator: Creator) -> documents.CreatorDocument:
    return {
        "account_id": account_id,
        "platform": platform,
        "username": creator.username,
        "name": creator.name,
        "avatar_url": creator.avatar_url or None,
        "privacies": list(creator.privacies),
        "comment_allowed": creator.comment_allowed,
        "duet_allowed": creator.duet_allowed,
        "stitch_allowed": creator.stitch_allowed,
        "max_duration_s": creator.max_duration_s,
    }
