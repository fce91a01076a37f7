"""Errors as RFC 9457 problem documents, whatever raised them.

falcon.HTTPError
└── Problem   ours: with a stable code and facts for programs, and a sentence for people
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import falcon
from falcon.media import JSONHandler
from loguru import logger

import broker
import store
from actors.database_check import DATABASE_ERRORS
from api.http import json_values

MEDIA_TYPE = "application/problem+json"


class Problem(falcon.HTTPError):
    """A refusal that says what to do about it.

    Attributes:
        kind: stable, snake_case; programs match on it.
        facts: further members of the document: the field, the limit.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **facts: Any,  # Any: JSON
    ) -> None:
        super().__init__(status, description=detail, headers=dict(headers or {}))
        self.kind = kind
        self.facts = facts


def not_found(what: str) -> Problem:
    """Return the 404 for a thing that is not there."""
    return Problem(404, "not_found", f"there is no such {what}")


def bad_field(field: str, detail: str, **facts: Any) -> Problem:  # Any: JSON
    """Return the 422 for one field of a request."""
    return Problem(422, "bad_field", f"{field}: {detail}", field=field, **facts)


def internal() -> Problem:
    """Return the 500 that tells a stranger nothing."""
    return Problem(500, "internal_error", "something went wrong here; it is in the log")


def database_unavailable(error: Exception) -> Problem:
    """Return the 503 for an error about the database file; its detail contains no path."""
    if isinstance(error, store.DatabaseUnavailable):
        reason, sentence = error.reason, error.sentence
    elif isinstance(error, broker.DatabaseReplaced):
        reason, sentence = "replaced", str(store.DatabaseReplaced("the database file"))
    else:
        reason, sentence = "unavailable", "the database is temporarily unavailable"
    detail = f"{sentence}; nothing was changed"
    return Problem(503, "database_unavailable", detail, headers={"Retry-After": "60"}, reason=reason)


def document(error: falcon.HTTPError) -> dict[str, Any]:  # Any: JSON
    """Return the problem document of an error.

    The type is a URN with the stable code where the error is one of ours; elsewhere the status says all there is.
    """
    status = HTTPStatus(error.status_code)
    common = {"title": status.phrase, "status": status.value, "detail": error.description or status.description}
    if isinstance(error, Problem):
        return {"type": f"urn:vidprod:problem:{error.kind}", **common, "code": error.kind, **error.facts}
    return {"type": "about:blank", **common, "code": status.name.lower()}


def encode(error: falcon.HTTPError) -> bytes:
    """Return the problem document of an error as it is sent."""
    return json_values.write(document(error))


def install(app: falcon.App[Any, Any]) -> None:  # Any: Falcon's own request and response types
    """Install the JSON encoder and the error handlers that answer with problem documents."""
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=json_values.write)
    app.set_error_serializer(_serialize)
    app.add_error_handler(Exception, _unexpected)
    for error in DATABASE_ERRORS:
        app.add_error_handler(error, _without_database)


def _serialize(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    del request
    response.content_type = MEDIA_TYPE
    response.cache_control = ["no-store"]
    response.data = encode(error)


def _unexpected(
    request: falcon.Request,
    response: falcon.Response,
    error: Exception,
    params: dict[str, Any],  # Any: Falcon's signature
) -> None:
    del response, params
    logger.opt(exception=error).error("{} {} failed", request.method, request.path)
    raise internal()


def _without_database(
    request: falcon.Request,
    response: falcon.Response,
    error: Exception,
    params: dict[str, Any],  # Any: Falcon's signature
) -> None:
    del response, params
    logger.warning("{} {} refused: {}", request.method, request.path, error)
    raise database_unavailable(error)
