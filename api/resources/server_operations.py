"""The operations of the API about the server: notices, dead letters, health, the page. See `operations`."""

from __future__ import annotations

from api.resources import dead_letters, pages
from api.resources import server_documents as documents
from api.resources.notices import NewSubscription
from api.resources.operation import CURSOR, Json, Operation, limit, text
from api.resources.session import Credentials

_QUEUE = text("Name of a queue. Default: all queues.")
_ACTOR = text("Name of an actor, such as `gaze` or `publish_tiktok`. Default: all actors.")
_PAGE_FILES = " ".join(sorted({name.partition(";")[0] for name in pages.MEDIA_TYPES.values()}))
_EVERYWHERE: Json = {
    "type": "boolean", "default": False, "examples": [True],
    "description": "Ends all sessions that were created with the same API key; also with the key itself.",
}  # fmt: skip

SERVER_OPERATIONS = (
    Operation(
        "list_notice_receivers", "get", "/notices", "List receivers of notices", (200,),
        "Browsers and the services of `NOTICE_URLS`, with the last outcome of each; `public_key` is the "
        "`applicationServerKey` for web push.", content=documents.NoticesDocument,
    ),
    Operation(
        "add_subscription", "post", "/notices/subscriptions", "Subscribe a browser to notices",
        (200, 201, 400, 409, 422),
        "200 if the browser is known: its keys are replaced, and it is enabled. 409 with `code` `other_key` if the "
        "browser has subscribed with another key than the present `public_key`.", NewSubscription,
        content=documents.SubscriptionDocument,
    ),
    Operation(
        "delete_subscription", "delete", "/notices/subscriptions/{subscription_id}",
        "Unsubscribe a browser from notices", (204, 404),
    ),
    Operation(
        "send_test_notice", "post", "/notices/test", "Send a test notice", (202, 409),
        "Goes to all receivers at once; their outcomes are in `GET /notices`.", content=documents.NoticeTestDocument,
    ),
    Operation(
        "list_dead_letters", "get", "/dead-letters", "List dead letters, newest first", (200, 400, 403),
        "Messages whose processing failed for good.",
        query={"cursor": CURSOR, "queue": _QUEUE, "limit": limit(dead_letters.MAX_LIMIT, dead_letters.DEFAULT_LIMIT)},
        content=documents.DeadLettersDocument,
    ),
    Operation(
        "retry_dead_letters", "post", "/dead-letters/retry", "Retry all dead letters", (202,),
        "`retried` and `left` list their ids; a dead letter stays if there is nothing to retry.",
        query={"actor": _ACTOR}, content=documents.DeadLettersRetryDocument,
    ),
    Operation(
        "retry_dead_letter", "post", "/dead-letters/{letter_id}/retry", "Retry a dead letter", (202, 404, 409),
        "For rendering its job is retried, for publishing its publication.",
        content=documents.RetriedDeadLetterDocument,
    ),
    Operation(
        "get_health", "get", "/health", "Check the health of the server", (200, 503),
        "503 if a check fails; both responses list all checks.", public=True, content=documents.HealthDocument,
    ),
    Operation(
        "get_readiness", "get", "/health/ready", "Check that this machine can take requests", (200, 503),
        "Only the checks `database`, `disk` and `write_lock`. For a load balancer before several machines: it must not "
        "take all of them away while the scheduler or the workers of others are silent.",
        public=True, content=documents.HealthDocument,
    ),
    Operation("get_metrics", "get", "/metrics", "Get metrics for Prometheus", (200, 403), content="text/plain"),
    Operation(
        "sign_in", "post", "/login", "Sign in on the web page", (204, 400, 401, 403, 422, 429, 503),
        "Exchanges an API key for a session cookie.", Credentials, public=True,
    ),
    Operation(
        "sign_out", "delete", "/login", "Sign out on the web page", (204, 400, 401, 403, 429, 503),
        "Ends the session and deletes its cookie.", query={"everywhere": _EVERYWHERE}, public=True,
    ),
    Operation(
        "get_openapi_document", "get", "/openapi.json", "Get this document", (200,), public=True,
        content=documents.OpenApiDocument,
    ),
    Operation(
        "get_reference", "get", "/docs", "Read this document as a page", (200, 304), content="text/html", public=True,
    ),
    Operation("get_page", "get", "/", "Get the web page", (200, 304), content="text/html", public=True),
    Operation(
        "get_page_asset", "get", "/assets/{version}/{name}", "Get a file of a page version", (200, 304, 404),
        "The page names its files by a version, so that browsers keep them for a year.",
        content=_PAGE_FILES, public=True,
    ),
    Operation(
        "get_page_file", "get", "/static/{name}", "Get a file of the web page",
        (200, 304, 404), content=_PAGE_FILES, public=True
    ),
    Operation(
        "get_manifest", "get", "/manifest.webmanifest", "Get the web app manifest", (200, 304),
        "Lets the page be installed on a phone.", content="application/manifest+json", public=True,
    ),
    Operation(
        "get_service_worker", "get", "/service-worker.js", "Get the service worker", (200, 304),
        content="text/javascript", public=True,
    ),
    Operation(
        "open_share", "get", "/share", "Go to the web page", (303,), public=True,
        answer_headers={"Location": text("Address of the page.")},
    ),
    Operation(
        "share_video", "post", "/share", "Go to the web page after a share", (303,),
        "The service worker takes shared videos; without it the browser is led to the page.", public=True,
        answer_headers={"Location": text("Address of the page.")},
    ),
)  # fmt: skip
