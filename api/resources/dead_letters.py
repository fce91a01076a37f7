"""Dead letters: list them, retry one or all."""

from __future__ import annotations

from typing import Any

import falcon

from actors.flow import job_commands
from actors.flow.publication_commands import NotPossible
from api.http import time_cursor
from api.http.numbers import parse_integer, query_limit
from api.http.problems import Problem, not_found
from api.resources import server_documents
from api.resources.base import Resource
from api.resources.status_document import timestamp
from broker import DeadLetter

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class DeadLettersResource(Resource):
    """GET /dead-letters."""

    operator_only = True

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the dead letters, newest first."""
        limit = query_limit(request, default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
        found = self._context.broker.admin.dead_letters(
            request.get_param("queue"), limit=limit + 1, before_id=_query_cursor(request)
        )
        listed: server_documents.DeadLettersDocument = {
            "dead_letters": [_document(letter) for letter in found[:limit]],
            "next": str(found[limit - 1].id) if len(found) > limit else None,
        }
        response.media = listed


def _query_cursor(request: falcon.Request) -> int | None:
    """Return the id of the last dead letter of the previous page; None on the first page."""
    cursor = request.get_param("cursor")
    if cursor is None:
        return None
    if (number := parse_integer(cursor)) is None:
        raise time_cursor.bad_cursor()
    return number


class DeadLetterRetryResource(Resource):
    """POST /dead-letters/{letter_id}/retry."""

    operator_only = True

    def on_post(self, request: falcon.Request, response: falcon.Response, letter_id: int) -> None:
        """Enqueue the message of a dead letter again, as a new message."""
        del request
        found = self._context.broker.admin.dead_letters(limit=1, before_id=letter_id + 1)
        if not found or found[0].id != letter_id:
            raise not_found("dead letter")
        try:
            is_retried = job_commands.retry_dead_letter(self._context, found[0])
        except NotPossible as exc:
            raise Problem(409, exc.code, exc.detail) from None
        if not is_retried:
            raise Problem(409, "nothing_to_retry", "the job of this message did not fail, or its files were deleted")
        response.status = falcon.HTTP_202
        document: server_documents.RetriedDeadLetterDocument = {"id": letter_id}
        response.media = document


class DeadLettersRetryResource(Resource):
    """POST /dead-letters/retry."""

    operator_only = True

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Retry all dead letters, or those of one actor; the others stay."""
        retried, left = job_commands.retry_dead_letters(self._context, request.get_param("actor"))
        response.status = falcon.HTTP_202
        document: server_documents.DeadLettersRetryDocument = {"retried": retried, "left": left}
        response.media = document


def _json_argument(argument: Any) -> str | int | float | None:  # Any: a message's argument
    return argument if isinstance(argument, str | int | float | None) else repr(argument)


def _document(letter: DeadLetter) -> server_documents.DeadLetterDocument:
    # Arguments are ids only, by the rule of the actors. The traceback is left out: it may contain paths.
    return {
        "id": letter.id,
        "queue": letter.queue,
        "actor": letter.actor,
        "args": [_json_argument(argument) for argument in letter.args],
        "error": letter.error,
        "attempts": letter.attempts,
        "enqueued_at": timestamp(letter.enqueued_at),
        "died_at": timestamp(letter.died_at),
    }
