"""What gave up: messages that failed for good, why, and sending them once more."""

from __future__ import annotations

from typing import Any

import falcon

from actors.flow import job_commands
from api.context import Context
from api.http.numbers import query_limit
from api.http.problems import Problem, not_found
from api.resources.status_document import moment
from broker import DeadLetter

PAGE = 50
MAX_PAGE = 500


class DeadLetters:
    """GET /dead-letters."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List what gave up, newest first."""
        limit = query_limit(request, default=PAGE, maximum=MAX_PAGE)
        found = self._context.broker.admin.dead_letters(request.get_param("queue"), limit=limit)
        response.media = {"dead_letters": [_letter(letter) for letter in found]}


class DeadLetterRetry:
    """POST /dead-letters/{letter_id}/retry."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_post(self, request: falcon.Request, response: falcon.Response, letter_id: int) -> None:
        """Send a message that gave up once more, as if it were new."""
        del request
        found = self._context.broker.admin.dead_letters(limit=1, before_id=letter_id + 1)
        if not found or found[0].id != letter_id:
            raise not_found("dead letter")
        if not job_commands.retry_dead_letter(self._context.machine, found[0]):
            raise Problem(409, "nothing_to_retry", "what this message was about did not fail, or its files are deleted")
        response.status = falcon.HTTP_202
        response.media = {"id": letter_id}


def _json_argument(argument: Any) -> Any:  # Any: a message's argument
    return argument if isinstance(argument, str | int | float | None) else repr(argument)


def _letter(letter: DeadLetter) -> dict[str, Any]:  # Any: JSON
    # Arguments are ids only, by the actors' rule; the traceback stays here, where it may name paths.
    return {
        "id": letter.id,
        "queue": letter.queue,
        "actor": letter.actor,
        "args": [_json_argument(argument) for argument in letter.args],
        "error": letter.error,
        "attempts": letter.attempts,
        "enqueued_at": moment(letter.enqueued_at),
        "died_at": moment(letter.died_at),
    }
