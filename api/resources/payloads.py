"""GET /jobs/{job_id}/payloads: what the waiting posts of a job would send, without sending it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import falcon

from actors.flow import payloads
from actors.flow.payloads import PublicationPayload
from api.http.problems import not_found
from api.resources import publication_documents as documents
from api.resources.base import Resource
from platforms.dry_run import BuiltRequest
from platforms.http.local_answers import FileSpan
from redaction import REDACTED, redact


class PayloadsResource(Resource):
    """GET /jobs/{job_id}/payloads."""

    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Build the requests of the posts that have not begun, and show them without secrets."""
        del request
        found = payloads.of_job(self._context, job_id, self._context.platform_reads)
        if found is None:
            raise not_found("job")
        response.cache_control = ["private", "no-store"]
        listed: documents.PayloadsDocument = {"publications": [_document(one) for one in found]}
        response.media = listed


def _document(found: PublicationPayload) -> documents.PublicationPayloadDocument:
    return {
        "publication_id": found.publication.id,
        "part": found.publication.segment_number,
        "platform": found.publication.platform,
        "account": found.account.name,
        "steps": [_step(built) for built in found.requests],
        "problems": [{"field": one.field, "reason": one.reason} for one in found.problems],
    }


def _step(built: BuiltRequest) -> documents.PayloadStepDocument:
    request = built.request
    return {
        "step": built.step,
        "method": request.method,
        "url": redact(request.url),
        "headers": {name: _header(name, value) for name, value in request.headers.items()},
        "body": shown_body(request.body),
        "changes": not built.is_read,
    }


def _header(name: str, value: str) -> str:
    if name.lower() == "authorization":
        return f"{value.partition(' ')[0]} {REDACTED}"
    return redact(value)


def shown_body(body: object) -> dict[str, Any] | None:  # Any: JSON
    """Return a body as JSON without secrets; of a file, which bytes are sent."""
    if isinstance(body, FileSpan):
        return {"file": "video", "first_byte": body.first, "bytes": body.length}
    return None if body is None else cast("dict[str, Any]", _redacted(body))


def _redacted(value: object) -> object:
    """Return JSON whose texts have no secrets."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {str(name): _redacted(inner) for name, inner in value.items()}
    return [_redacted(inner) for inner in value] if isinstance(value, list) else value
