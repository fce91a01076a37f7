"""GET /openapi.json: the OpenAPI 3.1 document of the API. A test keeps it and the routes equal."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import falcon
from pydantic import BaseModel

from api.http import cookies, json_values
from api.http.cookies import Cookies
from api.resources.base import Resource
from api.resources.operations import NO_CONTENT, OPERATIONS, PATH_PARAMETERS, Operation
from api.resources.schedules import PlatformSchedule
from platforms import webhook_events
from settings import VERSION, Settings
from store.attempts import MediaOutcome
from store.states import JobPhase, JobStatus, PublicationStatus, ReviewReason, SegmentStatus, WaitsFor

Json = dict[str, Any]  # Any: JSON

_REF = "#/components/schemas/{model}"

RESPONSES = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No content", 206: "Partial content",
    303: "See other", 304: "Not modified", 400: "Bad request", 401: "Unauthorized: an API key is required",
    403: "Forbidden: by the state of the resource, or the request comes from another site's page",
    404: "Not found", 405: "Method not allowed", 409: "Conflict with the current state", 410: "Gone",
    411: "Length required", 412: "Another version of the protocol", 413: "Content too large",
    415: "Unsupported media type", 416: "Range not satisfiable", 422: "Invalid field", 423: "Locked",
    429: "Too many requests", 460: "Checksum mismatch", 503: "Service unavailable",
}  # fmt: skip


class OpenApiResource(Resource):
    """GET /openapi.json."""

    public = True

    @cached_property
    def _document(self) -> bytes:
        """Return the document, made for the first client that asks: few do, and it takes memory."""
        return json_values.write(document(self._context.settings))

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Send the document."""
        del request
        response.cache_control = ["no-cache"]
        response.content_type = falcon.MEDIA_JSON
        response.data = self._document


def document(settings: Settings) -> Json:
    """Return the OpenAPI document; limits and defaults are those of the settings."""
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, settings)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "VidProd",
            "version": VERSION,
            "description": "Upload one long video; it is cut into short parts, which are published on TikTok, "
            "Instagram and YouTube. Errors are RFC 9457 problem documents. Times are RFC 3339 in UTC; names that end "
            "in `_s` are durations in seconds, names that end in `_bytes` are sizes in bytes.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "webhooks": {kind: {"post": _event(kind)} for kind in webhook_events.EVENT_TYPES},
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key of the server."},
                "session": {
                    "type": "apiKey", "in": "cookie", "name": Cookies(settings.root_url).name(cookies.SESSION),
                    "description": "The session of the web page. Changes need the header Origin, as browsers send it.",
                },
            },
            "schemas": _schemas(),
        },
    }  # fmt: skip


def _operation(operation: Operation, settings: Settings) -> Json:
    path_names = [step[1:-1] for step in operation.path.split("/") if step.startswith("{")]
    parameters = [_parameter("path", name, PATH_PARAMETERS[name]) | {"required": True} for name in path_names]
    parameters += [_parameter("query", name, schema) for name, schema in operation.query.items()]
    parameters += [_parameter("header", name, schema) for name, schema in operation.headers.items()]
    described: Json = {
        "summary": operation.summary,
        "responses": {str(status): _response(operation, status) for status in _statuses(operation)},
    }
    if operation.description:
        described["description"] = operation.description
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = _request_body(operation, operation.body, settings)
    if operation.public:
        described["security"] = []
    return described


_EVENT_HEADERS = {
    "webhook-id": {
        "type": "string", "description": "Id of the event, the same at every attempt: process each id once.",
    },
    "webhook-timestamp": {"type": "string", "description": "Time of this attempt, in Unix seconds."},
    "webhook-signature": {
        "type": "string",
        "description": "`v1,` and the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`; several, separated by spaces, "
        "while a secret is being replaced.",
    },
}  # fmt: skip


def _event(kind: str) -> Json:
    event = webhook_events.EVENT_TYPES[kind]
    return {
        "summary": event.summary,
        "parameters": [
            _parameter("header", name, schema) | {"required": True} for name, schema in _EVENT_HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": webhook_events.body_schema(kind, _REF)}},
        },
        "responses": {
            "2XX": {"description": "The event was received."},
            "410": {"description": "Nothing more is to be sent: the endpoint is disabled."},
            "default": {"description": "The event was not received. It is sent again for two days."},
        },
    }


def _parameter(place: str, name: str, schema: Json) -> Json:
    rest = {key: value for key, value in schema.items() if key != "description"}
    return {"name": name, "in": place, "description": schema["description"], "schema": rest}


def _statuses(operation: Operation) -> list[int]:
    of_authentication = () if operation.public else (401, 429) if operation.method == "get" else (401, 403, 429)
    of_body = () if operation.body is None else (400, 413, 422)
    return sorted({*operation.statuses, *of_authentication, *of_body})


def _response(operation: Operation, status: int) -> Json:
    response: Json = {"description": RESPONSES[status]}
    is_problem = status >= 400 and operation.path != "/health"
    if is_problem:
        response["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    elif status in {304, 303, 204} or operation.content == NO_CONTENT:
        pass
    elif operation.content and "/" in operation.content:
        response["content"] = {operation.content: {}}
    else:
        schema = {"$ref": f"#/components/schemas/{operation.content}"} if operation.content else {"type": "object"}
        response["content"] = {"application/json": {"schema": schema}}
    return response


def _request_body(operation: Operation, model: type[BaseModel], settings: Settings) -> Json:
    schema = _body_schema(model)
    if operation.path == "/upload":
        return {"required": True, "content": {"multipart/form-data": {"schema": _upload_form(schema, settings)}}}
    if operation.path == "/schedule":
        schema = {"$ref": "#/components/schemas/Schedules"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _upload_form(options: Json, settings: Settings) -> Json:
    """Return the schema of the upload form; all options are text there."""
    fields = options["properties"]
    as_text = {
        "platforms": {"type": "string"},
        "metadata": {"type": "string", "contentMediaType": "application/json"},
        "publish_after": {"type": "string", "format": "date-time"},
    }
    properties = {
        **fields,
        **{name: {**schema, "description": fields[name]["description"]} for name, schema in as_text.items()},
        **{
            name: {**fields[name], "default": getattr(settings, name)} for name in ("gaze_intensity", "segment_seconds")
        },
        "file": {
            "type": "string",
            "contentMediaType": "video/*",
            "description": f"The video: MP4, MOV, MKV or WebM, at most {settings.max_upload_size} bytes.",
        },
    }
    return {"type": "object", "properties": properties, "required": ["file"], "additionalProperties": False}


def _body_schema(model: type[BaseModel]) -> Json:
    return {name: value for name, value in model.model_json_schema(ref_template=_REF).items() if name != "$defs"}


def _shared_schemas() -> Json:
    bodies = [operation.body for operation in OPERATIONS if operation.body is not None]
    return {name: value for body in bodies for name, value in body.model_json_schema().get("$defs", {}).items()}


_WAITS_FOR = {"type": "string", "enum": list(WaitsFor)}
_TEXT = {"type": "string"}
_TIME = {"type": ["string", "null"], "format": "date-time"}
_EXPECTED_AT = _TIME | {
    "description": "When a waiting publication starts, if nothing changes. Null if nobody can know, or if its turn "
    "does not come within 60 days. An estimate while it waits for `rendering`."
}
_OPTIONAL_TEXT, _OPTIONAL_INTEGER = {"type": ["string", "null"]}, {"type": ["integer", "null"]}


def _schemas() -> Json:
    summary = {
        "job_id": _TEXT,
        "status": {"type": "string", "enum": list(JobStatus)},
        "phase": {
            "type": "string",
            "enum": list(JobPhase),
            "description": "As `status`; instead of `publishing` it may be `scheduled` (the next post has a later "
            "time) or `blocked` (no post has a time: a person is needed, or the end of something unknown).",
        },
        "progress": {"type": "number", "minimum": 0, "maximum": 1, "description": "Share of the work done, 0 to 1."},
        "next_at": _TIME | {"description": "When the next post is expected to start."},
        "last_at": _TIME
        | {"description": "When the last post is expected to start; null while a post has no expected time."},
        "posts": _object({status: {"type": "integer"} for status in PublicationStatus})
        | {"description": "How many publications are in each state."},
        "title": _TEXT,
        "original_name": _TEXT | {"description": "Name of the uploaded file; shown only, never published."},
        "created_at": _TIME,
    }
    review = {
        "reasons": {"type": "array", "items": {"type": "string", "enum": list(ReviewReason)}}, "approved_at": _TIME,
    }  # fmt: skip
    job = {
        **summary,
        "error": _OPTIONAL_TEXT,
        "error_code": _OPTIONAL_TEXT,
        "warnings": {"type": "array", "items": _TEXT},
        "attempts": {"type": "array", "items": _attempt()},
        "retry_at": _TIME | {"description": "Time of the next attempt; null if none is scheduled."},
        "review": {"anyOf": [_object(review), {"type": "null"}], "description": "Why the job waits for approval."},
        "segments": {"type": "array", "items": _segment()},
    }
    upload = {"job_id": _TEXT, "status": summary["status"], "status_url": _TEXT}
    jobs = {
        "jobs": {"type": "array", "items": _object(summary)},
        "next": _OPTIONAL_TEXT | {"description": "Cursor of the next page; null on the last page."},
    }
    problem = {
        "type": _TEXT, "title": _TEXT, "status": {"type": "integer"},
        "detail": _TEXT | {"description": "What went wrong, for people."},
        "code": _TEXT | {"description": "What went wrong, for programs; stable."},
    }  # fmt: skip
    return {
        "Job": _object(job),
        "Jobs": _object(jobs),
        "Upload": _object(upload),
        "Forecast": _object(_forecast()),
        "Schedules": {"type": "object", "additionalProperties": _body_schema(PlatformSchedule)},
        "Problem": _object(problem),
        **webhook_events.data_schemas(_REF),
        **_shared_schemas(),
    }


def _forecast() -> Json:
    post = {
        "expected_at": _EXPECTED_AT, "waits_for": _WAITS_FOR, "publication_id": _TEXT, "job_id": _TEXT, "title": _TEXT,
        "number": {"type": "integer", "description": "Number of the part, from 1."},
        "of": _OPTIONAL_INTEGER | {"description": "Number of parts of the job."},
        "platform": _TEXT, "account_id": _TEXT, "account": _TEXT | {"description": "Name of the account."},
    }  # fmt: skip
    return {
        "made_at": _TIME | {"description": "When the forecast was made: after the last change, or seconds ago."},
        "posts": {"type": "array", "items": _object(post)},
        "next": _OPTIONAL_TEXT | {"description": "Cursor of the next page; null on the last page."},
    }


def _segment() -> Json:
    publication = {
        "platform": _TEXT, "account": _TEXT, "status": {"type": "string", "enum": list(PublicationStatus)},
        "link": _OPTIONAL_TEXT | {"description": "Address of the published post."},
        "due_at": _TIME | {
            "description": "Start, as the schedule last allowed it; null until it is first in line on its account."
        },
        "expected_at": _EXPECTED_AT,
        "waits_for": {
            "anyOf": [_WAITS_FOR, {"type": "null"}], "description": "What a waiting publication waits for.",
        },
        "reason": _OPTIONAL_TEXT,
        "code": _OPTIONAL_TEXT | {
            "description": "Why it waits, failed or ended, for programs; `held`: an earlier part was not published."
        },
        "attempts": {
            "type": "array", "description": "The newest failed attempts, at most 20, oldest first.",
            "items": _object({
                "at": _TIME, "step": _OPTIONAL_TEXT, "code": _TEXT, "detail": _TEXT, "platform_code": _OPTIONAL_TEXT,
                "log_id": _OPTIONAL_TEXT | {"description": "The id that the platform's support asks for."},
            }),
        },
    }  # fmt: skip
    return _object({
        "number": {"type": "integer", "description": "Number of the part, from 1."},
        "of": {"type": "integer", "description": "Number of parts of the job."},
        "status": {"type": "string", "enum": list(SegmentStatus)},
        "start_s": {"type": "number", "description": "Start in the uploaded video, in seconds."},
        "duration_s": {"type": ["number", "null"], "description": "Duration in seconds."},
        "cut_reason": _TEXT, "gaze": {"type": ["object", "null"]},
        "rendering": {"type": ["object", "null"]}, "reason": _OPTIONAL_TEXT,
        "attempts": {"type": "array", "items": _attempt()},
        "retry_at": _TIME | {"description": "Time of the next attempt; null if none is scheduled."},
        "publications": {"type": "array", "items": _object(publication)},
    })  # fmt: skip


def _attempt() -> Json:
    return _object({
        "began_at": _TIME, "ended_at": _TIME, "settings": _TEXT,
        "outcome": {"type": "string", "enum": list(MediaOutcome)},
        "exit_code": _OPTIONAL_INTEGER, "signal": _OPTIONAL_INTEGER,
        "held_bytes": _OPTIONAL_INTEGER | {"description": "Memory in use when the limit was exceeded, in bytes."},
        "limit_bytes": _OPTIONAL_INTEGER | {"description": "Memory limit, in bytes."},
        "deadline_s": {"type": ["number", "null"], "description": "Time limit in seconds."},
    })  # fmt: skip


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}
