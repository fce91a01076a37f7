"""JSON request bodies, validated by pydantic models."""

from __future__ import annotations

from typing import TypeVar

import falcon
from pydantic import BaseModel, ValidationError

from api.http import json_values
from api.http.content_encodings import require_identity
from api.http.problems import Problem, invalid_field

MAX_BYTES = 65_536

Body = TypeVar("Body", bound=BaseModel)


def read_body(request: falcon.Request, model: type[Body], limit_bytes: int = MAX_BYTES) -> Body:
    """Return the request's JSON body as a model.

    Raises:
        Problem: 413 if it is larger than the limit, 415 if it is encoded, 400 if it is not a JSON object, 422 if it
            is invalid.
    """
    require_identity(request.get_header("Content-Encoding"))
    raw = request.bounded_stream.read(limit_bytes + 1)
    if len(raw) > limit_bytes:
        raise too_large(limit_bytes)
    try:
        value = json_values.read(raw)
    except ValueError:
        raise Problem(400, "not_json", "the body must be JSON") from None
    if not isinstance(value, dict):
        raise Problem(400, "not_json", "the body must be a JSON object")
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise validation_problem(exc, tuple(model.model_fields)) from None


def too_large(limit_bytes: int = MAX_BYTES) -> Problem:
    """Return the 413 for a body larger than the limit."""
    return Problem(413, "too_large", f"the body is larger than {limit_bytes} bytes", limit_bytes=limit_bytes)


def validation_problem(exc: ValidationError, known: tuple[str, ...], within: str = "") -> Problem:
    """Return the 422 for the first error of a validation.

    Args:
        known: the names of all fields; listed when a field is unknown.
        within: the field whose value was validated; empty: the body.
    """
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(step) for step in (within, *first["loc"]) if step != "")[:80] or "body"
    if first["type"] == "extra_forbidden":
        return invalid_field(field, f"unknown field; the fields are {', '.join(known)}")
    return invalid_field(field, first["msg"].removeprefix("Value error, ").replace("Input should ", "must ").strip())
