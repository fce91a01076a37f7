"""GET /openapi.json: the API described by itself (OpenAPI 3.1). A test holds it and the routes together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import falcon
from pydantic import BaseModel

from api.context import Context
from api.http.idempotency import MAX_KEY_CHARS
from api.http.numbers import MAX_INTEGER
from api.resources import dead_letters, webhooks
from api.resources import jobs as job_routes
from api.resources.publications import Resolution
from api.resources.schedules import PlatformSchedule
from api.resources.session import Credentials
from api.resources.webhooks import EndpointChange, NewEndpoint
from api.uploads.options import UploadOptions
from settings import VERSION
from store.attempts import MediaOutcome
from store.states import JobStatus, PublicationStatus, ReviewReason, SegmentStatus

Json = dict[str, Any]  # Any: JSON

_REF = "#/components/schemas/{model}"

CODES = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No content", 206: "Partial content",
    303: "See other", 304: "Not modified", 400: "Bad request", 401: "Unauthorized: an API key is required",
    403: "Forbidden: the request comes from another site's page",
    404: "Not found", 409: "Conflict with the current state", 411: "Length required", 413: "Content too large",
    415: "Unsupported media type", 416: "Range not satisfiable", 422: "Invalid field", 429: "Too many requests",
    503: "Service unavailable",
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One method of one route."""

    method: str
    path: str
    summary: str
    answers: tuple[int, ...]
    body: type[BaseModel] | None = None
    query: dict[str, Json] = field(default_factory=dict)  # name: JSON schema
    headers: dict[str, Json] = field(default_factory=dict)  # likewise
    answer: str | None = None  # a schema, or a media type
    public: bool = False


_PART = "/jobs/{job_id}/segments/{number}"
_DELIVERIES = "/webhooks/{endpoint_id}/deliveries"
_FILE = (200, 206, 304, 404, 416)
_TEXT = {"type": "string"}
_KEY = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_KEY_CHARS,
    "description": "A new UUID for each upload; send the same one when the upload is repeated. For 24 hours the first "
    "answer is replayed (with Idempotent-Replayed: true) and no second job is created. 422 for a different upload with "
    "the same key, 409 while the first one is in progress.",
}


def _limit(maximum: int, default: int) -> dict[str, Json]:
    return {"limit": {"type": "integer", "minimum": 1, "maximum": maximum, "default": default}}


_JOBS_PAGE = {"cursor": _TEXT, **_limit(job_routes.MAX_LIMIT, job_routes.DEFAULT_LIMIT)}
_LETTERS_PAGE = {"queue": _TEXT, **_limit(dead_letters.MAX_LIMIT, dead_letters.DEFAULT_LIMIT)}
_DELIVERIES_PAGE = _limit(webhooks.MAX_LIMIT, webhooks.DEFAULT_LIMIT)

OPERATIONS = (
    Operation(
        "post", "/upload", "Upload a video with its options", (202, 400, 409, 413, 415, 422, 429, 503), UploadOptions,
        headers={"Idempotency-Key": _KEY}, answer="Upload",
    ),
    Operation("get", "/status/{job_id}", "Status of a job", (200, 304, 404), answer="Job"),
    Operation("get", "/jobs", "Jobs, newest first", (200, 400), query=_JOBS_PAGE, answer="Jobs"),
    Operation("delete", "/jobs/{job_id}", "End a job and delete its files; the record stays", (204, 404)),
    Operation("post", "/jobs/{job_id}/cancel", "End a job; its upload and parts are deleted at once", (200, 404, 409)),
    Operation("post", "/jobs/{job_id}/retry", "Try again what failed, and only that", (202, 404, 409)),
    Operation("post", "/jobs/{job_id}/approve", "Approve the publications of a job in review", (200, 404, 409)),
    Operation("get", f"{_PART}/video", "The video of a part, while it lives", _FILE, answer="video/mp4"),
    Operation("get", f"{_PART}/cover", "The cover of a part, while it lives", _FILE, answer="image/jpeg"),
    Operation("get", f"{_PART}/preview", "A part's before and after, while it lives", _FILE, answer="image/jpeg"),
    Operation("get", "/media/{token}", "A part by a signed, expiring address", _FILE, answer="video/mp4", public=True),
    Operation("get", "/accounts", "Connected accounts, and how large a video may be", (200,)),
    Operation("delete", "/accounts/{account_id}", "Disconnect an account", (204, 404)),
    Operation(
        "get", "/connect/{platform}", "Go to a platform to connect an account", (303, 400, 404, 409),
        query={"variant": _TEXT},
    ),
    Operation(
        "get", "/connect/{platform}/callback", "Come back from a platform", (303, 400, 422, 503),
        query={"state": _TEXT, "code": _TEXT, "error": _TEXT}, public=True,
    ),
    Operation("get", "/schedule", "Upload windows, limits and order, by platform", (200,), answer="Schedules"),
    Operation("put", "/schedule", "Change some platforms' schedules", (200, 400, 422), PlatformSchedule),
    Operation("get", "/webhooks", "Endpoints", (200,)),
    Operation("post", "/webhooks", "Add an endpoint; the answer has its secret", (201, 400, 409, 422), NewEndpoint),
    Operation("get", "/webhooks/{endpoint_id}", "One endpoint", (200, 404)),
    Operation("patch", "/webhooks/{endpoint_id}", "Switch an endpoint on or off", (200, 404, 422), EndpointChange),
    Operation("delete", "/webhooks/{endpoint_id}", "Delete an endpoint", (204, 404)),
    Operation("get", _DELIVERIES, "Deliveries to an endpoint, newest first", (200, 400, 404), query=_DELIVERIES_PAGE),
    Operation("post", f"{_DELIVERIES}/{{delivery_id}}/redeliver", "Redeliver an event", (202, 404, 409)),
    Operation("get", "/dead-letters", "Dead letters, newest first", (200, 400), query=_LETTERS_PAGE),
    Operation("post", "/dead-letters/{letter_id}/retry", "Retry a dead letter", (202, 404, 409)),
    Operation(
        "post", "/publications/{publication_id}/resolve", "Say whether a post of unknown outcome is there",
        (204, 404, 409, 422), Resolution,
    ),
    Operation("get", "/health", "Health checks", (200, 503), public=True),
    Operation("get", "/metrics", "Metrics for Prometheus", (200,), answer="text/plain"),
    Operation("post", "/login", "Exchange a key for a session", (204, 400, 401, 422, 429), Credentials, public=True),
    Operation("delete", "/login", "Sign out", (204,), public=True),
    Operation("get", "/openapi.json", "This description", (200,), public=True),
    Operation("get", "/", "The page", (200, 304), answer="text/html", public=True),
    Operation("get", "/static/{name}", "The page's files", (200, 304, 404), answer="text/html", public=True),
)  # fmt: skip


class OpenApiResource:
    """Answers with the description."""

    public = True

    def __init__(self, context: Context) -> None:
        self._document = document(context.settings.max_upload_size)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Describe the API."""
        del request
        response.cache_control = ["no-cache"]
        response.media = self._document


def document(max_upload_bytes: int) -> Json:
    """Return the OpenAPI document."""
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, max_upload_bytes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VidProd",
            "version": VERSION,
            "description": "One video in, published parts out. Every error is an RFC 9457 problem document.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "vidprod_session"},
            },
            "schemas": _schemas(),
        },
    }


def _operation(operation: Operation, max_upload_bytes: int) -> Json:
    parameters = [
        {"name": step[1:-1], "in": "path", "required": True, "schema": _path_schema(step[1:-1])}
        for step in operation.path.split("/")
        if step.startswith("{")
    ]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()]
    parameters += [{"name": name, "in": "header", "schema": schema} for name, schema in operation.headers.items()]
    described: Json = {
        "summary": operation.summary,
        "responses": {str(code): _response(operation, code) for code in _codes(operation)},
    }
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = _request_body(operation, operation.body, max_upload_bytes)
    if operation.public:
        described["security"] = []
    return described


def _codes(operation: Operation) -> list[int]:
    of_key = () if operation.public else (401,) if operation.method == "get" else (401, 403)
    of_body = () if operation.body is None else (400, 413, 422)
    return sorted({*operation.answers, *of_key, *of_body})


def _path_schema(name: str) -> Json:
    if name in {"number", "letter_id"}:
        return {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER}
    return _TEXT


def _response(operation: Operation, code: int) -> Json:
    answer: Json = {"description": CODES[code]}
    is_problem = code >= 400 and operation.path != "/health"
    if is_problem:
        answer["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    elif code in {304, 303, 204}:
        pass
    elif operation.answer and "/" in operation.answer:
        answer["content"] = {operation.answer: {}}
    else:
        schema = {"$ref": f"#/components/schemas/{operation.answer}"} if operation.answer else {"type": "object"}
        answer["content"] = {"application/json": {"schema": schema}}
    return answer


def _request_body(operation: Operation, model: type[BaseModel], max_upload_bytes: int) -> Json:
    schema = _body_schema(model)
    if operation.path == "/upload":
        file = {"type": "string", "contentMediaType": "video/*", "description": f"at most {max_upload_bytes} bytes"}
        fields = {
            **schema["properties"],
            "platforms": {
                "type": "string",
                "description": "comma list of tiktok, instagram, youtube; none: all connected",
            },
            "metadata": {"type": "string", "contentMediaType": "application/json"},
            "publish_after": {"type": "string", "format": "date-time"},
            "file": file,
        }
        form = {"type": "object", "properties": fields, "required": ["file"], "additionalProperties": False}
        return {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    if operation.path == "/schedule":
        schema = {"$ref": "#/components/schemas/Schedules"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _body_schema(model: type[BaseModel]) -> Json:
    return {name: value for name, value in model.model_json_schema(ref_template=_REF).items() if name != "$defs"}


def _shared_schemas() -> Json:
    bodies = [operation.body for operation in OPERATIONS if operation.body is not None]
    return {name: value for body in bodies for name, value in body.model_json_schema().get("$defs", {}).items()}


_MOMENT = {"type": ["string", "null"], "format": "date-time"}
_OPTIONAL_TEXT, _OPTIONAL_INTEGER = {"type": ["string", "null"]}, {"type": ["integer", "null"]}


def _schemas() -> Json:
    summary = {
        "job_id": _TEXT,
        "status": {"type": "string", "enum": list(JobStatus)},
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "title": _TEXT,
        "created_at": _MOMENT,
    }
    review = {
        "reasons": {"type": "array", "items": {"type": "string", "enum": list(ReviewReason)}}, "approved_at": _MOMENT,
    }  # fmt: skip
    job = {
        **summary,
        "error": _OPTIONAL_TEXT,
        "error_code": _OPTIONAL_TEXT,
        "warnings": {"type": "array", "items": _TEXT},
        "attempts": {"type": "array", "items": _attempt()},
        "retry_at": _MOMENT,
        "review": {"anyOf": [_object(review), {"type": "null"}]},
        "segments": {"type": "array", "items": _segment()},
    }
    upload = {"job_id": _TEXT, "status": summary["status"], "status_url": _TEXT}
    jobs = {"jobs": {"type": "array", "items": _object(summary)}, "next": _OPTIONAL_TEXT}
    problem = {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT, "code": _TEXT}
    return {
        "Job": _object(job),
        "Jobs": _object(jobs),
        "Upload": _object(upload),
        "Schedules": {"type": "object", "additionalProperties": _body_schema(PlatformSchedule)},
        "Problem": _object(problem),
        **_shared_schemas(),
    }


def _segment() -> Json:
    publication = {
        "platform": _TEXT, "account": _TEXT, "status": {"type": "string", "enum": list(PublicationStatus)},
        "link": _OPTIONAL_TEXT, "due_at": _MOMENT, "reason": _OPTIONAL_TEXT,
    }  # fmt: skip
    return _object({
        "number": {"type": "integer"}, "of": {"type": "integer"},
        "status": {"type": "string", "enum": list(SegmentStatus)}, "start_s": {"type": "number"},
        "duration_s": {"type": ["number", "null"]}, "cut_reason": _TEXT, "gaze": {"type": ["object", "null"]},
        "rendering": {"type": ["object", "null"]}, "reason": _OPTIONAL_TEXT,
        "attempts": {"type": "array", "items": _attempt()}, "retry_at": _MOMENT,
        "publications": {"type": "array", "items": _object(publication)},
    })  # fmt: skip


def _attempt() -> Json:
    return _object({
        "began_at": _MOMENT, "ended_at": _MOMENT, "settings": _TEXT,
        "outcome": {"type": "string", "enum": list(MediaOutcome)},
        "exit_code": _OPTIONAL_INTEGER, "signal": _OPTIONAL_INTEGER,
        "held_bytes": _OPTIONAL_INTEGER, "limit_bytes": _OPTIONAL_INTEGER,
        "deadline_s": {"type": ["number", "null"]},
    })  # fmt: skip


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}
