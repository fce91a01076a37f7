"""The operations of the API, as listed in its OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from api.http.idempotency import MAX_KEY_CHARS
from api.http.numbers import MAX_INTEGER
from api.resources import dead_letters, forecasts, jobs, webhooks
from api.resources.accounts import AccountChange
from api.resources.notices import NewSubscription
from api.resources.publications import PublicationRetry, Resolution
from api.resources.schedules import PlatformSchedule
from api.resources.session import Credentials
from api.resources.webhooks import EndpointChange, NewEndpoint, Replay, SecretRotation
from api.tus import protocol
from api.uploads.options import UploadOptions
from platforms import registry

NO_CONTENT = "none"
"""Content of a successful response that has no body but is not a 204."""

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Operation:
    """One method of one route.

    Attributes:
        summary: in the imperative, at most eight words.
        statuses: of its responses, besides 400, 401, 403, 413 and 422 where they follow from body and authentication.
        query: JSON schemas of the query parameters by name.
        headers: likewise of the request headers.
        content: of the successful response: a schema of the document, or a media type; None for any JSON object.
        public: needs no authentication.
    """

    method: str
    path: str
    summary: str
    statuses: tuple[int, ...]
    description: str = ""
    body: type[BaseModel] | None = None
    query: dict[str, Json] = field(default_factory=dict)
    headers: dict[str, Json] = field(default_factory=dict)
    content: str | None = None
    public: bool = False


def _text(description: str) -> Json:
    return {"type": "string", "description": description}


def _limit(maximum: int, default: int) -> Json:
    return {
        "type": "integer", "minimum": 1, "maximum": maximum, "default": default,
        "description": f"Maximum number of entries, 1 to {maximum}. Default: {default}.",
    }  # fmt: skip


def _number(description: str) -> Json:
    return {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER, "description": description}


PATH_PARAMETERS: dict[str, Json] = {
    "job_id": _text("Id of the job."),
    "upload_id": _text("Id of the upload, and of its future job."),
    "number": _number("Number of the part, from 1."),
    "token": _text("Signed token of the link."),
    "account_id": _text("Id of the account."),
    "platform": {"type": "string", "enum": list(registry.PLATFORMS), "description": "Name of the platform."},
    "endpoint_id": _text("Id of the webhook endpoint."),
    "delivery_id": _text("Id of the delivery."),
    "subscription_id": _text("`sub_` and the first 32 hexadecimal digits of the SHA-256 of the endpoint."),
    "letter_id": _number("Id of the dead letter."),
    "publication_id": _text("Id of the publication."),
    "name": _text("Name of the file."),
    "version": _text("Version of the web page."),
}

_IDEMPOTENCY_KEY: Json = {
    "type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS,
    "description": "A new UUID for each upload; send the same key when you repeat an upload. For 24 hours, a repeated "
    "upload gets the first response again (with `Idempotent-Replayed: true`) and creates no second job. 422 if the key "
    "was used for a different upload, 409 while the first request is in progress. Optional; 1 to "
    f"{MAX_KEY_CHARS} printable ASCII characters.",
}  # fmt: skip
_TUS: dict[str, Json] = {
    "Tus-Resumable": {"type": "string", "enum": [protocol.VERSION], "description": "Version of the protocol."},
}
_TUS_CREATION: dict[str, Json] = {
    "Upload-Length": _text("Size of the video in bytes."),
    "Upload-Defer-Length": _text("`1` if the size is told later."),
    "Upload-Metadata": _text("Pairs of a key and a value in Base64, separated by commas."),
    "Upload-Concat": _text("`partial`, or `final;` with the addresses of partial uploads that are joined."),
    "Upload-Checksum": _text(
        f"Checksum of the body: one of {', '.join(protocol.ALGORITHMS)}, and the digest in Base64."
    ),
}
_TUS_APPENDING: dict[str, Json] = {
    "Upload-Offset": _text("Number of bytes that the server has."),
    "Upload-Length": _text("Size of the video in bytes, if it was deferred."),
    "Upload-Checksum": _TUS_CREATION["Upload-Checksum"],
}
_CURSOR = _text("`next` of the previous page. Default: the first page.")
_DAYS = f"How many days from now, 1 to {forecasts.MAX_DAYS}. Default: {forecasts.DEFAULT_DAYS}."
_QUEUE = _text("Name of a queue. Default: all queues.")
_ACTOR = _text("Name of an actor, such as `gaze` or `publish_tiktok`. Default: all actors.")
_VARIANT = {
    "type": "string", "enum": list(registry.LOGINS),
    "description": "Login of the platform. Default: the first one that is configured.",
}  # fmt: skip
_EVERYWHERE = {
    "type": "boolean", "default": False,
    "description": "Ends all sessions that were created with the same API key; also with the key itself.",
}  # fmt: skip
_CALLBACK = {
    "state": _text("State of the connection request."),
    "code": _text("Authorization code; missing if the platform did not grant access."),
    "error": _text("Error code of the platform."),
}

_PART = "/jobs/{job_id}/segments/{number}"
_DELIVERIES = "/webhooks/{endpoint_id}/deliveries"
_FILE = (200, 206, 304, 404, 416)
_UNTIL_DELETED = "Available until the files of the job are deleted. Supports Range and If-None-Match."

OPERATIONS = (
    Operation(
        "post", "/upload", "Upload a video", (202, 400, 409, 411, 413, 415, 422, 429, 503),
        "Send the options before the file: invalid options are then refused before the file is sent.",
        UploadOptions, headers={"Idempotency-Key": _IDEMPOTENCY_KEY}, content="Upload",
    ),
    Operation(
        "post", "/files", "Create a resumable upload",
        (201, 400, 404, 409, 411, 412, 413, 415, 422, 423, 429, 460, 503),
        "The protocol is tus 1.0.0 with all of its extensions but checksum-trailer; any client of it can upload here. "
        "OPTIONS lists what the server can do. The options of `POST /upload` are keys of Upload-Metadata; `filename` "
        "is the name of the file. Only the creation counts for the rate limit of uploads.",
        headers=_TUS | _TUS_CREATION, content=NO_CONTENT,
    ),
    Operation(
        "patch", "/files/{upload_id}", "Append to a resumable upload",
        (204, 400, 403, 404, 409, 410, 411, 412, 413, 415, 422, 423, 429, 460, 503),
        "HEAD returns the offset at which to go on. A newer request for an upload ends an older one. The response to "
        "the request that completes the upload has the id of its job in X-Job-Id. An incomplete upload is deleted 24 "
        "hours after its last byte. Beyond tus, Upload-Metadata may be sent with a deferred Upload-Length: the video "
        "is sent first, the options last. With a deferred length the metadata `size` tells the maximum "
        "in bytes; without it the disk space for the largest video is reserved.",
        headers=_TUS | _TUS_APPENDING,
    ),
    Operation(
        "post", "/files/{upload_id}", "Append, delete or ask by POST",
        (200, 204, 400, 403, 404, 405, 409, 410, 412, 413, 415, 423, 429, 460, 503),
        "X-HTTP-Method-Override names the method, for clients that can send GET and POST only.",
        headers=_TUS | {"X-HTTP-Method-Override": _text("PATCH, DELETE or HEAD.")},
        content=NO_CONTENT,
    ),
    Operation(
        "delete", "/files/{upload_id}", "Delete a resumable upload", (204, 403, 404, 410, 412, 423, 429),
        "403 once the upload is complete: then its job can be deleted.", headers=_TUS,
    ),
    Operation(
        "get", "/status/{job_id}", "Get the status of a job", (200, 304, 404),
        "Supports If-None-Match: 304 if nothing has changed.", content="Job",
    ),
    Operation(
        "get", "/jobs", "List jobs, newest first", (200, 400),
        query={"cursor": _CURSOR, "limit": _limit(jobs.MAX_LIMIT, jobs.DEFAULT_LIMIT)}, content="Jobs",
    ),
    Operation(
        "delete", "/jobs/{job_id}", "Delete the files of a job", (204, 404),
        "Cancels the job if it has not ended. Its record is kept.",
    ),
    Operation(
        "post", "/jobs/{job_id}/cancel", "Cancel a job", (200, 404, 409),
        "Rendering and publishing stop, and the files are deleted. Published posts stay online.",
    ),
    Operation(
        "post", "/jobs/{job_id}/retry", "Retry failed parts and publications", (202, 404, 409),
        "409 if nothing of the job failed, or if its files were deleted. Publications whose later parts have been "
        "published on the account are left: `out_of_order` lists their ids.",
    ),
    Operation(
        "post", "/jobs/{job_id}/approve", "Approve the publications of a job", (200, 404, 409),
        "409 if the job needs no approval.",
    ),
    Operation("get", f"{_PART}/video", "Get the video of a part", _FILE, _UNTIL_DELETED, content="video/mp4"),
    Operation("get", f"{_PART}/cover", "Get the cover of a part", _FILE, _UNTIL_DELETED, content="image/jpeg"),
    Operation(
        "get", f"{_PART}/preview", "Get before and after of a part", _FILE,
        f"Frames before and after eye correction. {_UNTIL_DELETED}", content="image/jpeg",
    ),
    Operation(
        "get", "/media/{token}", "Get a video by signed link", _FILE,
        "For platforms that download a video by its URL. The link expires.", content="video/mp4", public=True,
    ),
    Operation(
        "get", "/accounts", "List connected accounts", (200,),
        "Also returns `max_upload_bytes`, the maximum size of an upload in bytes, and `outages` by platform.",
    ),
    Operation(
        "patch", "/accounts/{account_id}", "Change an account", (200, 404, 422),
        "Sets the effect of a part that was not published.", AccountChange,
    ),
    Operation(
        "delete", "/accounts/{account_id}", "Disconnect an account", (204, 404),
        "Deletes its tokens and revokes them at the platform.",
    ),
    Operation(
        "get", "/connect/{platform}", "Connect an account", (303, 400, 403, 404, 409),
        "Open this address in a browser that is signed in: it redirects to the platform. With an API key it redirects "
        "to an address of this server, with a ticket: open that one within 10 minutes, in the browser of the account's "
        "owner.", query={"variant": _VARIANT},
    ),
    Operation(
        "get", "/connect/{platform}/begin", "Begin a connection with a ticket", (303, 400),
        "Binds the connection to this browser, and redirects it to the platform.",
        query={"ticket": _text("Ticket, as `/connect/{platform}` made it.")}, public=True,
    ),
    Operation(
        "get", "/connect/{platform}/callback", "Complete the connection of an account", (303, 400, 422, 503),
        "The platform redirects the browser here; then the browser is redirected to the web page. 400 in a browser "
        "that has not begun the connection, and after 10 minutes.",
        query=_CALLBACK, public=True,
    ),
    Operation(
        "get", "/forecast", "List expected publications, earliest first", (200, 400),
        "When the waiting publications of all accounts start, if nothing changes, and what each waits for. Those whose "
        "time nobody can know are left out.",
        query={
            "cursor": _CURSOR,
            "days": _limit(forecasts.MAX_DAYS, forecasts.DEFAULT_DAYS) | {"description": _DAYS},
            "limit": _limit(forecasts.MAX_LIMIT, forecasts.DEFAULT_LIMIT),
        }, content="Forecast",
    ),
    Operation("get", "/schedule", "Get the schedules of all platforms", (200,), content="Schedules"),
    Operation(
        "put", "/schedule", "Change the schedules of platforms", (200, 400, 422),
        "Omitted platforms and fields keep their values. Publications that are due start at once.", PlatformSchedule,
    ),
    Operation("get", "/webhooks", "List webhook endpoints", (200,)),
    Operation(
        "post", "/webhooks", "Add a webhook endpoint", (201, 400, 409, 422),
        f"The response has the signing secret. At most {webhooks.MAX_ENDPOINTS} endpoints.",
        NewEndpoint,
    ),
    Operation("get", "/webhooks/{endpoint_id}", "Get a webhook endpoint", (200, 404)),
    Operation(
        "patch", "/webhooks/{endpoint_id}", "Change a webhook endpoint", (200, 404, 422),
        "Enables or disables it, or changes its events. `missed` says what it has not received.", EndpointChange,
    ),
    Operation("delete", "/webhooks/{endpoint_id}", "Delete a webhook endpoint", (204, 404)),
    Operation(
        "get", "/webhooks/{endpoint_id}/secret", "Get the signing secret of an endpoint", (200, 404),
        "Also of an endpoint that was named by an upload (`webhook_url`).",
    ),
    Operation(
        "post", "/webhooks/{endpoint_id}/rotate", "Replace the signing secret of an endpoint", (200, 404, 409, 422),
        "Until the overlap ends, events are signed with both secrets.", SecretRotation,
    ),
    Operation(
        "post", "/webhooks/{endpoint_id}/ping", "Send a test event", (202, 404),
        "Sent once, also to a disabled endpoint. The outcome is in the deliveries.",
    ),
    Operation(
        "post", "/webhooks/{endpoint_id}/replay", "Send events again", (202, 404, 409, 422),
        "All since a time, or all that were not delivered. Events are kept for 30 days.", Replay,
    ),
    Operation(
        "get", _DELIVERIES, "List deliveries to an endpoint, newest first", (200, 400, 404),
        query={"limit": _limit(webhooks.MAX_LIMIT, webhooks.DEFAULT_LIMIT)},
    ),
    Operation(
        "post", f"{_DELIVERIES}/{{delivery_id}}/redeliver", "Send an event again", (202, 404, 409),
        "Same id and body, new signature.",
    ),
    Operation(
        "get", "/notices", "List receivers of notices", (200,),
        "Browsers and the services of `NOTICE_URLS`, with the last outcome of each; `public_key` is the "
        "`applicationServerKey` for web push.",
    ),
    Operation(
        "post", "/notices/subscriptions", "Subscribe a browser to notices", (200, 201, 400, 409, 422),
        "200 if the browser is known: its keys are replaced, and it is enabled. 409 with `code` `other_key` if the "
        "browser has subscribed with another key than the present `public_key`.", NewSubscription,
    ),
    Operation(
        "delete", "/notices/subscriptions/{subscription_id}", "Unsubscribe a browser from notices", (204, 404),
    ),
    Operation(
        "post", "/notices/test", "Send a test notice", (202, 409),
        "Goes to all receivers at once; their outcomes are in `GET /notices`.",
    ),
    Operation(
        "get", "/dead-letters", "List dead letters, newest first", (200, 400),
        "Messages whose processing failed for good.",
        query={"queue": _QUEUE, "limit": _limit(dead_letters.MAX_LIMIT, dead_letters.DEFAULT_LIMIT)},
    ),
    Operation(
        "post", "/dead-letters/retry", "Retry all dead letters", (202,),
        "`retried` and `left` list their ids; a dead letter stays if there is nothing to retry.",
        query={"actor": _ACTOR},
    ),
    Operation(
        "post", "/dead-letters/{letter_id}/retry", "Retry a dead letter", (202, 404, 409),
        "For rendering its job is retried, for publishing its publication.",
    ),
    Operation(
        "post", "/publications/{publication_id}/retry", "Retry a publication", (202, 404, 409, 422),
        "For a publication that failed, expired or was skipped. 409 with `code` `out_of_order` if a later part has "
        "been published on the account, or may have been; `{}` is a body without options.", PublicationRetry,
    ),
    Operation(
        "post", "/publications/{publication_id}/skip", "Skip a publication", (204, 404, 409),
        "For a publication that waits, failed or expired; the parts after it go on.",
    ),
    Operation(
        "post", "/publications/{publication_id}/resolve", "Resolve an unknown outcome", (204, 404, 409, 422),
        "For a publication in status `outcome_unknown`, after you have looked on the platform.", Resolution,
    ),
    Operation(
        "get", "/health", "Check the health of the server", (200, 503),
        "503 if a check fails; both responses list all checks.", public=True,
    ),
    Operation("get", "/metrics", "Get metrics for Prometheus", (200,), content="text/plain"),
    Operation(
        "post", "/login", "Sign in on the web page", (204, 400, 401, 403, 422, 429, 503),
        "Exchanges an API key for a session cookie.", Credentials, public=True,
    ),
    Operation(
        "delete", "/login", "Sign out on the web page", (204, 400, 401, 403, 429, 503),
        "Ends the session and deletes its cookie.", query={"everywhere": _EVERYWHERE}, public=True,
    ),
    Operation("get", "/openapi.json", "Get this document", (200,), public=True),
    Operation("get", "/", "Get the web page", (200, 304), content="text/html", public=True),
    Operation(
        "get", "/assets/{version}/{name}", "Get a file of a page version", (200, 304, 404),
        "The page names its files by a version, so that browsers keep them for a year.",
        content="text/html", public=True,
    ),
    Operation(
        "get", "/static/{name}", "Get a file of the web page", (200, 304, 404), content="text/html", public=True
    ),
    Operation(
        "get", "/manifest.webmanifest", "Get the web app manifest", (200, 304),
        "Lets the page be installed on a phone.", content="application/manifest+json", public=True,
    ),
    Operation(
        "get", "/service-worker.js", "Get the service worker", (200, 304), content="text/javascript", public=True
    ),
    Operation("get", "/share", "Go to the web page", (303,), public=True),
    Operation(
        "post", "/share", "Go to the web page after a share", (303,),
        "The service worker takes shared videos; without it the browser is led to the page.", public=True,
    ),
)  # fmt: skip
