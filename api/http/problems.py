"""Problem documents (RFC 9457) for all errors.

falcon.HTTPError
└── Problem   with a stable code and extension members for programs, and a sentence for people
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
from actors.locked_database import LOCKED, UNCLEAR, is_locked
from api.http import json_values
from files.errors import FilesError

OTHER_PHRASES = {460: "Checksum Mismatch"}
"""Reason phrases of statuses that are not registered."""

MEDIA_TYPE = "application/problem+json"


class Problem(falcon.HTTPError):
    """An error response.

    Attributes:
        error_code: stable, snake_case; programs match on it. (Falcon has a `code` of its own.)
        extensions: further members of the document, for instance `field` or `limit_bytes`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,  # Any: JSON
    ) -> None:
        line = f"{status} {OTHER_PHRASES[status]}" if status in OTHER_PHRASES else status
        super().__init__(line, description=detail, headers=dict(headers or {}))
        self.error_code = code
        self.extensions = extensions


def not_found(noun: str) -> Problem:
    """Return the 404 for a resource, named by a noun such as "job"."""
    return Problem(404, "not_found", f"{noun} not found")


def invalid_field(field: str, detail: str, **extensions: Any) -> Problem:  # Any: JSON
    """Return the 422 for an invalid field of a request."""
    return Problem(422, "bad_field", f"{field}: {detail}", field=field, **extensions)


def internal_error() -> Problem:
    """Return the 500 for an unexpected error; it reveals no details."""
    return Problem(500, "internal_error", "an unexpected error occurred; the server's log has the details")


def database_unavailable(error: Exception) -> Problem:
    """Return the 503 for an error of the database file; its detail contains no path.

    A lock is usually free again soon: a process that does not answer is ended after 30 seconds.
    """
    if isinstance(error, UNCLEAR):
        return _unclear()
    retry_after_s = 60
    if is_locked(error):
        reason, sentence = LOCKED
        retry_after_s = 5
    elif isinstance(error, store.DatabaseUnavailable):
        reason, sentence = error.reason, error.sentence
    elif isinstance(error, broker.DatabaseReplaced):
        reason, sentence = "replaced", str(store.DatabaseReplaced("the database file"))
    else:
        reason, sentence = "unavailable", "the database is temporarily unavailable"
    detail = f"{sentence}; nothing was changed"
    return Problem(503, "database_unavailable", detail, headers={"Retry-After": str(retry_after_s)}, reason=reason)


def _unclear() -> Problem:
    """Return the 503 after a lost answer to a COMMIT: a repetition might do the same twice."""
    detail = (
        "the connection to the database was lost while the change was saved; it is not known whether it was. Look "
        "whether it is there before you repeat the request; with the same Idempotency-Key, an upload can be repeated "
        "safely"
    )
    return Problem(503, "database_unavailable", detail, headers={"Retry-After": "60"}, reason="commit_unclear")


def phrase(status: int) -> str:
    """Return the reason phrase of a status, also of those that tus adds to HTTP."""
    return OTHER_PHRASES.get(status) or HTTPStatus(status).phrase


def _description(error: falcon.HTTPError) -> str:
    return "" if error.status_code in OTHER_PHRASES else HTTPStatus(error.status_code).description


def document(error: falcon.HTTPError) -> dict[str, Any]:  # Any: JSON
    """Return the problem document of an error.

    The type of a `Problem` is a URN with its code. For other errors the status says everything.
    """
    title = phrase(error.status_code)
    common = {"title": title, "status": error.status_code, "detail": error.description or _description(error)}
    if isinstance(error, Problem):
        return {
            "type": f"urn:vidprod:problem:{error.error_code}",
            **common,
            "code": error.error_code,
            **error.extensions,
        }
    return {"type": "about:blank", **common, "code": title.lower().replace(" ", "_").replace("-", "_")}


def encode(error: falcon.HTTPError) -> bytes:
    """Return the problem document of an error as bytes."""
    return json_values.write(document(error))


def install(app: falcon.App[Any, Any]) -> None:  # Any: Falcon's own request and response types
    """Install the JSON encoder and the error handlers that answer with problem documents."""
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = JSONHandler(dumps=json_values.write)
    app.set_error_serializer(serialize)
    app.add_error_handler(Exception, _handle_unexpected)
    app.add_error_handler(FilesError, _handle_storage_error)
    for error in DATABASE_ERRORS:
        app.add_error_handler(error, _handle_database_error)


def serialize(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    """Send the problem document of an error."""
    del request
    response.content_type = MEDIA_TYPE
    response.cache_control = ["no-store"]
    response.data = encode(error)


def _handle_unexpected(
    request: falcon.Request,
    response: falcon.Response,
    error: Exception,
    params: dict[str, Any],  # Any: Falcon's signature
) -> None:
    del response, params
    logger.opt(exception=error).error("{} {} failed", request.method, request.path)
    raise internal_error()


def _handle_storage_error(
    request: falcon.Request, response: falcon.Response, error: FilesError, params: dict[str, Any]
) -> None:  # Any: falcon's
    """Answer 503 if the storage of the files does not."""
    del request, response, params
    logger.error("storage: {}", error)
    detail = "the storage of the videos does not answer at the moment; try again later"
    raise Problem(503, "storage_unavailable", detail, headers={"Retry-After": "60"}) from error


def _handle_database_error(
    request: falcon.Request,
    response: falcon.Response,
    error: Exception,
    params: dict[str, Any],  # Any: Falcon's signature
) -> None:
    del response, params
    logger.warning("{} {} failed: database unavailable: {}", request.method, request.path, error)
    raise database_unavailable(error)
