"""The JSON documents about the server: notices, dead letters, health, errors. See `api.resources.documents`."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.resources.document_types import Cursor, Free, Time
from store.states import DeliveryStatus


class SubscriptionDocument(TypedDict):
    """A browser that gets notices."""

    id: str
    push_service: Annotated[str, Field(description="Host of the push service.")]
    user_agent: str
    state: Literal["enabled", "disabled"]
    created_at: Time | None
    succeeded_at: Time | None
    failures: Annotated[int, Field(description="Failures in a row.")]
    last_error: str | None


class NoticeUrlDocument(TypedDict):
    """A service of `NOTICE_URLS`, without its address."""

    service: Annotated[str, Field(description="Kind of the service, such as mailto.")]
    last_status: DeliveryStatus | None
    last_at: Time | None
    last_error: str | None


class NoticesDocument(TypedDict):
    """The receivers of notices."""

    public_key: Annotated[str, Field(description="The `applicationServerKey` for web push.")]
    subscriptions: list[SubscriptionDocument]
    urls: list[NoticeUrlDocument]


class NoticeTestDocument(TypedDict):
    """The outcome of a request for a test notice."""

    receivers: Annotated[int, Field(description="Number of receivers.")]


class DeadLetterDocument(TypedDict):
    """A message whose processing failed for good."""

    id: int
    queue: str
    actor: str
    args: list[str | int | float | None]
    error: str
    attempts: int
    enqueued_at: Time | None
    died_at: Time | None


class DeadLettersDocument(TypedDict):
    """Dead letters, newest first."""

    dead_letters: list[DeadLetterDocument]
    next: Cursor


class DeadLettersRetryDocument(TypedDict):
    """The outcome of a retry of all dead letters."""

    retried: list[int]
    left: list[int]


class RetriedDeadLetterDocument(TypedDict):
    """A dead letter that was retried."""

    id: int


class HealthCheckDocument(TypedDict):
    """The result of a check; it has further members with what was measured."""

    ok: bool
    reason: NotRequired[str]
    detail: NotRequired[str]


class HealthDocument(TypedDict):
    """The health of the server."""

    status: Literal["ok", "failing"]
    checks: dict[str, HealthCheckDocument]


class ProblemDocument(TypedDict):
    """An error (RFC 9457); it may have further members, for instance `limit_bytes`."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="What went wrong, for people.")]
    code: Annotated[str, Field(description="What went wrong, for programs; stable.")]
    field: NotRequired[Annotated[str, Field(description="The field of the request that is wrong.")]]


class OpenApiDocument(TypedDict):
    """A document of OpenAPI 3.1."""

    openapi: str
    info: Free
    paths: Free
