"""The operations of the API about webhooks. See `api.resources.operations`."""

from __future__ import annotations

from api.resources import webhook_documents as documents
from api.resources import webhooks
from api.resources.operation import CURSOR, Operation, limit, text
from api.resources.webhooks import EndpointChange, NewEndpoint, Replay, SecretRotation

_DELIVERIES = "/webhooks/{endpoint_id}/deliveries"

WEBHOOK_OPERATIONS = (
    Operation(
        "list_endpoints", "get", "/webhooks", "List webhook endpoints, oldest first", (200, 400),
        query={"cursor": CURSOR, "limit": limit(webhooks.MAX_LIMIT, webhooks.MAX_LIMIT)},
        content=documents.EndpointsDocument,
    ),
    Operation(
        "add_endpoint", "post", "/webhooks", "Add a webhook endpoint", (201, 400, 409, 422),
        f"The response has the signing secret. At most {webhooks.MAX_ENDPOINTS} endpoints.",
        NewEndpoint, content=documents.EndpointWithSecretDocument,
        answer_headers={"Location": text("Address of the endpoint.")},
    ),
    Operation(
        "get_endpoint", "get", "/webhooks/{endpoint_id}", "Get a webhook endpoint", (200, 404),
        content=documents.EndpointDocument,
    ),
    Operation(
        "change_endpoint", "patch", "/webhooks/{endpoint_id}", "Change a webhook endpoint", (200, 404, 422),
        "Enables or disables it, or changes its events. `missed` says what it has not received.", EndpointChange,
        content=documents.EndpointDocument,
    ),
    Operation("delete_endpoint", "delete", "/webhooks/{endpoint_id}", "Delete a webhook endpoint", (204, 404)),
    Operation(
        "get_endpoint_secret", "get", "/webhooks/{endpoint_id}/secret", "Get the signing secret of an endpoint",
        (200, 404),
        "Also of an endpoint that was named by an upload (`webhook_url`).", content=documents.SecretDocument,
    ),
    Operation(
        "rotate_endpoint_secret", "post", "/webhooks/{endpoint_id}/rotate",
        "Replace the signing secret of an endpoint", (200, 404, 409, 422),
        "Until the overlap ends, events are signed with both secrets.", SecretRotation,
        content=documents.EndpointWithSecretDocument,
    ),
    Operation(
        "ping_endpoint", "post", "/webhooks/{endpoint_id}/ping", "Send a test event", (202, 404),
        "Sent once, also to a disabled endpoint. The outcome is in the deliveries.", content=documents.PingDocument,
    ),
    Operation(
        "replay_events", "post", "/webhooks/{endpoint_id}/replay", "Send events again", (202, 404, 409, 422),
        "All since a time, or all that were not delivered. Events are kept for 30 days.", Replay,
        content=documents.ReplayedDocument,
    ),
    Operation(
        "list_deliveries", "get", _DELIVERIES, "List deliveries to an endpoint, newest first", (200, 400, 404),
        query={"cursor": CURSOR, "limit": limit(webhooks.MAX_LIMIT, webhooks.DEFAULT_LIMIT)},
        content=documents.DeliveriesDocument,
    ),
    Operation(
        "redeliver_event", "post", f"{_DELIVERIES}/{{delivery_id}}/redeliver", "Send an event again", (202, 404, 409),
        "Same id and body, new signature.", content=documents.DeliveryStateDocument,
    ),
)  # fmt: skip
