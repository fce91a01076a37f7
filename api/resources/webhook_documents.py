"""The JSON documents about webhooks: endpoints and deliveries. See `api.resources.documents`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.resources.document_types import Code, Cursor, Time
from store.states import DeliveryStatus, EndpointState


class MissedDocument(TypedDict):
    """The events that an endpoint has not received."""

    count: int
    since: Time | None


class EndpointDocument(TypedDict):
    """A webhook endpoint."""

    id: str
    url: str
    scope: Annotated[Literal["all", "named"], Field(description="named: only of jobs that name this address.")]
    events: list[str]
    state: EndpointState
    disabled_code: Code
    disabled_at: Time | None
    failing_since: Time | None
    failures: Annotated[int, Field(description="Failures in a row.")]
    last_error: str | None
    attempted_at: Time | None
    paused_until: Time | None
    waiting: Annotated[int, Field(description="Events that wait.")]
    failed: Annotated[int, Field(description="Events that were given up.")]
    dropped: Annotated[int, Field(description="Events that were given up because too many waited.")]
    missed: MissedDocument
    previous_secret_until: Annotated[Time | None, Field(description="Until then the previous secret signs, too.")]
    created_at: Time | None


class EndpointsDocument(TypedDict):
    """The webhook endpoints."""

    endpoints: list[EndpointDocument]
    next: Cursor


class EndpointWithSecretDocument(EndpointDocument):
    """A webhook endpoint with its signing secret."""

    secret: str


class SecretDocument(TypedDict):
    """The signing secret of a webhook endpoint."""

    secret: Annotated[str, Field(description="`whsec_` and the key in Base64.")]


class DeliveryAttemptDocument(TypedDict):
    """An attempt at a delivery."""

    at: Time | None
    duration_ms: int
    http_status: int | None
    error: str | None
    excerpt: Annotated[str | None, Field(description="Beginning of the receiver's response.")]


class DeliveryDocument(TypedDict):
    """An event to one endpoint."""

    id: str
    event_id: Annotated[str, Field(description="The header `webhook-id` of each attempt.")]
    type: str
    job_id: str | None
    created_at: Time | None
    status: DeliveryStatus
    reason: str | None
    next_at: Annotated[Time | None, Field(description="Time of the next attempt.")]
    attempts: list[DeliveryAttemptDocument]


class DeliveriesDocument(TypedDict):
    """The deliveries to an endpoint, newest first."""

    deliveries: list[DeliveryDocument]
    next: Cursor


class DeliveryStateDocument(TypedDict):
    """A delivery that is sent again."""

    id: str
    status: DeliveryStatus


class PingDocument(TypedDict):
    """The delivery of a test event."""

    delivery_id: str
    status: DeliveryStatus


class ReplayedDocument(TypedDict):
    """The outcome of a replay."""

    replayed: Annotated[int, Field(description="Number of events that are sent again.")]
