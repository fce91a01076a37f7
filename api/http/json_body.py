"""Reading JSON bodies: checked by a pydantic model, and small."""

from __future__ import annotations

from typing import TypeVar

import falcon
from pydantic import BaseModel, ValidationError

from api.http import json_values
from api.http.problems import Problem
from api.uploads.options import problem_of

MAX_BYTES = 65_536

Body = TypeVar("Body", bound=BaseModel)


def read(request: falcon.Request, kind: type[Body]) -> Body:
    """Return the request's JSON body as a value.

    Raises:
        Problem: 413 when it is too large, 400 when it is no JSON, 422 when it says something else than it should.
    """
    raw = request.bounded_stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise Problem(413, "too_large", f"the body is larger than {MAX_BYTES} bytes", limit_bytes=MAX_BYTES)
    try:
        value = json_values.read(raw)
    except ValueError:
        raise Problem(400, "not_json", "the body must be JSON") from None
    if not isinstance(value, dict):
        raise Problem(400, "not_json", "the body must be a JSON object")
    try:
        return kind.model_validate(value)
    except ValidationError as exc:
        raise problem_of(exc, known=tuple(kind.model_fields)) from None
