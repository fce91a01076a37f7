"""The OpenAPI 3.1 document of the API. A test keeps it and the routes equal."""

from __future__ import annotations

from api.http import cookies, problems
from api.http.cookies import Cookies
from api.resources import examples, schemas
from api.resources.operation import NO_CONTENT, PATH_PARAMETERS, Json, Operation
from api.resources.operations import OPERATIONS
from api.resources.server_documents import ProblemDocument
from platforms import webhook_events
from settings import VERSION, Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"

SUCCESSES = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No content", 206: "Partial content", 303: "See other",
    304: "Not modified",
}  # fmt: skip
ERRORS = {
    400: "Bad request", 401: "Unauthorized: an API key is required",
    403: "Forbidden: by the state of the resource, or the request comes from another site's page",
    404: "Not found", 405: "Method not allowed", 409: "Conflict with the current state", 410: "Gone",
    411: "Length required", 412: "Another version of the resource or of the protocol", 413: "Content too large",
    415: "Unsupported media type", 416: "Range not satisfiable", 422: "Invalid field", 423: "Locked",
    428: "If-Match is missing",
    429: "Too many requests", 460: "Checksum mismatch", 500: "Internal error", 503: "Service unavailable",
}  # fmt: skip
TAGS = {
    "Uploads": "Send a video, in one request or in pieces.",
    "Jobs": "Videos and their parts.",
    "Publications": "Parts on accounts.",
    "Accounts": "Connected accounts, and their schedules.",
    "Webhooks": "Endpoints that receive events.",
    "Notices": "Receivers of messages to the creator.",
    "Server": "Health, metrics, and messages that were given up.",
    "Web page": "The page, its files, and its session.",
}
_TAG_OF_PATH = {
    "upload": "Uploads", "files": "Uploads", "status": "Jobs", "jobs": "Jobs", "media": "Jobs",
    "publications": "Publications", "accounts": "Accounts", "connect": "Accounts", "schedule": "Accounts",
    "forecast": "Publications", "calendar": "Publications", "limits": "Publications",
    "webhooks": "Webhooks", "dead-letters": "Server", "health": "Server", "needs-you": "Server", "keys": "Server",
    "metrics": "Server", "settings": "Server", "docs": "Server", "openapi.json": "Server",
    "notices": "Notices", "manifest.webmanifest": "Web page", "service-worker.js": "Web page",
    "share": "Web page", "login": "Web page", "": "Web page", "static": "Web page", "assets": "Web page",
}  # fmt: skip
_RETRY_AFTER = {"description": "Seconds after which the request can be sent again.", "schema": {"type": "integer"}}
_PROBLEM = "application/problem+json"
_DESCRIPTION = (
    "Upload one long video; it is cut into short parts, which are published on TikTok, Instagram and YouTube. Errors "
    "are RFC 9457 problem documents. Times are RFC 3339 in UTC; names that end in `_s` are durations in seconds, names "
    "that end in `_bytes` are sizes in bytes. What belongs to another owner than that of the key is not there (404). A "
    "method that a path does not have gets 405 with `Allow`; HEAD is answered like GET by `/health`, `/health/ready`, "
    "the page and the files of parts. A request that arrives too slowly gets 408, one with too large a head 431. A "
    "browser that opens an address gets a page with the same status instead of JSON."
)


def document(settings: Settings) -> Json:
    """Return the OpenAPI document; limits and defaults are those of the settings."""
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, settings)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "VidProd", "version": VERSION, "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
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
            "schemas": schemas.component_schemas(),
            "responses": {_error_name(status): _error(status) for status in ERRORS},
        },
    }  # fmt: skip


def _operation(operation: Operation, settings: Settings) -> Json:
    path_names = [step[1:-1] for step in operation.path.split("/") if step.startswith("{")]
    parameters = [_parameter("path", name, PATH_PARAMETERS[name]) | {"required": True} for name in path_names]
    parameters += [_parameter("query", name, schema) for name, schema in operation.query.items()]
    parameters += [_parameter("header", name, schema) for name, schema in operation.headers.items()]
    described: Json = {
        "operationId": operation.name,
        "tags": [_TAG_OF_PATH[operation.path.split("/")[1]]],
        "summary": operation.summary,
        "responses": {str(status): _response(operation, status) for status in _statuses(operation)},
    }
    if operation.description:
        described["description"] = operation.description
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = _request_body(operation, settings)
    if operation.public:
        described["security"] = []
    return described


def _statuses(operation: Operation) -> list[int]:
    """Return the statuses of an operation, with those that any request of its kind can get."""
    of_authentication = () if operation.public else (401, 429) if operation.method == "get" else (401, 403, 429)
    of_method = (413,) if operation.method in {"get", "head"} else (411, 413)  # of a body that is not expected
    of_body = () if operation.body is None else (415, 422)
    return sorted({*operation.statuses, *of_authentication, *of_method, *of_body, 400, 500, 503})


def _response(operation: Operation, status: int) -> Json:
    if status in ERRORS and not (operation.path.startswith("/health") and status == 503):
        return {"$ref": f"#/components/responses/{_error_name(status)}"}
    response: Json = {"description": ERRORS.get(status) or SUCCESSES[status]}
    if (operation.answer_headers and status < 300) or status in {303, 304}:
        response["headers"] = {name: _header(schema) for name, schema in operation.answer_headers.items()}
    if status in {204, 303, 304} or operation.content in {None, NO_CONTENT}:
        return response
    response["content"] = _content(operation)
    if status == 503:
        response["content"] |= _error(status)["content"]
        response["headers"] = _error(status)["headers"]
    return response


def _content(operation: Operation) -> Json:
    example = {"example": examples.RESPONSES[operation.name]} if operation.name in examples.RESPONSES else {}
    if not isinstance(operation.content, str):
        return {"application/json": {"schema": schemas.reference(operation.content), **example}}
    return {kind: {"schema": _media_schema(kind), **example} for kind in operation.content.split()}


def _media_schema(kind: str) -> Json:
    if kind.endswith("+json"):
        return {"type": "object", "additionalProperties": True}
    return {"type": "string"} if kind.startswith("text/") else {"type": "string", "format": "binary"}


def _error_name(status: int) -> str:
    return problems.phrase(status).title().replace(" ", "").replace("-", "")


def _error(status: int) -> Json:
    code = problems.phrase(status).lower().replace(" ", "_").replace("-", "_")
    example = examples.PROBLEM | {"title": problems.phrase(status), "status": status, "detail": ERRORS[status]}
    described: Json = {
        "description": ERRORS[status],
        "content": {
            _PROBLEM: {
                "schema": schemas.reference(ProblemDocument),
                "example": example | {"code": code, "type": f"urn:vidprod:problem:{code}"},
            }
        },
    }
    if status in {409, 429, 503}:  # 409: while a request with the same Idempotency-Key is in progress
        described["headers"] = {"Retry-After": _RETRY_AFTER}
    return described


def _header(schema: Json) -> Json:
    return {
        "description": schema["description"],
        "schema": {name: schema[name] for name in schema if name != "description"},
    }


def _request_body(operation: Operation, settings: Settings) -> Json:
    assert operation.body is not None
    example = examples.REQUESTS[operation.name]
    if operation.path == "/upload":
        content = {"multipart/form-data": {"schema": schemas.upload_form(settings), "example": example}}
    else:
        content = {"application/json": {"schema": schemas.reference(operation.body), "example": example}}
    return {"required": operation.name != "retry_publication", "content": content}


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
            "content": {"application/json": {"schema": webhook_events.body_schema(kind, schemas.REF)}},
        },
        "responses": {
            "2XX": {"description": "The event was received."},
            "410": {"description": "Nothing more is to be sent: the endpoint is disabled."},
            "default": {"description": "The event was not received. It is sent again for two days."},
        },
    }


def _parameter(place: str, name: str, schema: Json) -> Json:
    return {"name": name, "in": place, **_header(schema)}
