"""The creator's own systems: where they want to be told of events, what they were told, and telling them again."""

from __future__ import annotations

from typing import Annotated, Any

import falcon
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from actors.flow import job_commands
from api.context import Context
from api.http import json_body
from api.http.numbers import query_limit
from api.http.problems import Problem, not_found
from api.resources.status_document import moment
from api.uploads.upload import check_address
from store import webhooks
from store.states import EndpointState
from store.webhooks import Attempt, Delivery, Endpoint, Event

EVENTS = (
    "job.created", "job.processing", "segment.ready", "job.processed", "job.review_needed", "publication.scheduled",
    "publication.published", "publication.failed", "publication.outcome_unknown", "publication.action_needed",
    "job.completed", "job.failed", "account.reconnect_needed", "endpoint.disabled", "ping",
)  # fmt: skip
MAX_ENDPOINTS = 100
DELIVERIES = 50
MAX_DELIVERIES = 500


def _known_event(name: str) -> str:
    if name not in EVENTS:
        raise ValueError(f"{name[:40]!r} is not one of {', '.join(EVENTS)}")
    return name


EventName = Annotated[str, AfterValidator(_known_event)]


class NewEndpoint(BaseModel):
    """What is asked for a new endpoint; no events: all of them."""

    model_config = ConfigDict(extra="forbid")
    url: Annotated[str, Field(min_length=1, max_length=2048)]
    events: Annotated[list[EventName], Field(max_length=len(EVENTS))] = []


class EndpointChange(BaseModel):
    """What can be changed; what is not given stays."""

    model_config = ConfigDict(extra="forbid")
    state: EndpointState | None = None
    events: Annotated[list[EventName], Field(max_length=len(EVENTS))] | None = None


class Endpoints:
    """GET and POST /webhooks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the endpoints; their secrets are not shown again."""
        del request
        with self._context.store.reading() as connection:
            found = webhooks.every_endpoint(connection)
        response.media = {"endpoints": [_endpoint(endpoint) for endpoint in found]}

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Add an endpoint and return its signing secret; a known address keeps its own."""
        asked = json_body.read(request, NewEndpoint)
        check_address(self._context, "url", asked.url)
        with self._context.store.writing() as connection:
            if webhooks.count_endpoints(connection) >= MAX_ENDPOINTS:
                raise Problem(409, "too_many_endpoints", f"there are {MAX_ENDPOINTS} endpoints already")
            made = job_commands.add_endpoint(
                self._context.machine, connection, asked.url, scope="all", events=asked.events
            )
            found = webhooks.get_endpoint(connection, made.id) or made
        secret = self._context.sealer.open(found.secret)
        response.status = falcon.HTTP_201
        response.location = f"/webhooks/{found.id}"
        response.cache_control = ["no-store"]
        response.media = {**_endpoint(found), "secret": secret}


class OneEndpoint:
    """GET, PATCH and DELETE /webhooks/{endpoint_id}."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Show an endpoint."""
        del request
        response.media = _endpoint(_get(self._context, endpoint_id))

    def on_patch(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Switch an endpoint on or off, or change what it hears of."""
        asked = json_body.read(request, EndpointChange)
        _get(self._context, endpoint_id)
        with self._context.store.writing() as connection:
            if asked.state is not None:
                webhooks.set_state(connection, endpoint_id, asked.state)
            if asked.events is not None:
                webhooks.set_events(connection, endpoint_id, asked.events)
        response.media = _endpoint(_get(self._context, endpoint_id))

    def on_delete(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Forget an endpoint and what it was told."""
        del request
        with self._context.store.writing() as connection:
            if not webhooks.remove_endpoint(connection, endpoint_id):
                raise not_found("endpoint")
        response.status = falcon.HTTP_204


class Deliveries:
    """GET /webhooks/{endpoint_id}/deliveries."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Show what an endpoint was told, newest first, and how each try went."""
        limit = query_limit(request, default=DELIVERIES, maximum=MAX_DELIVERIES)
        _get(self._context, endpoint_id)
        with self._context.store.reading() as connection:
            found = webhooks.deliveries_of(connection, endpoint_id, limit)
        response.media = {"deliveries": [_delivery(*one) for one in found]}


class Redelivery:
    """POST /webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_post(self, request: falcon.Request, response: falcon.Response, endpoint_id: str, delivery_id: str) -> None:
        """Tell an endpoint again, with the same id and body, signed afresh."""
        del request
        with self._context.store.writing() as connection:
            found = webhooks.get_delivery(connection, delivery_id)
            if found is None or found[2].id != endpoint_id:
                raise not_found("delivery")
            if found[2].state != EndpointState.ENABLED:
                raise Problem(409, "endpoint_disabled", "the endpoint is switched off")
            if not webhooks.redeliver(connection, delivery_id, self._context.now()):
                raise Problem(409, "under_way", "this delivery is under way")
            self._context.machine.send("dispatch_webhook", delivery_id)
        response.status = falcon.HTTP_202
        response.media = {"id": delivery_id, "status": "waiting"}


def _get(context: Context, endpoint_id: str) -> Endpoint:
    with context.store.reading() as connection:
        found = webhooks.get_endpoint(connection, endpoint_id)
    if found is None:
        raise not_found("endpoint")
    return found


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:  # Any: JSON
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "scope": endpoint.scope,
        "events": endpoint.events,
        "state": endpoint.state,
        "failing_since": moment(endpoint.failing_since),
        "created_at": moment(endpoint.created_at),
    }


def _delivery(delivery: Delivery, event: Event, tries: list[Attempt]) -> dict[str, Any]:  # Any: JSON
    return {
        "id": delivery.id,
        "event_id": event.id,
        "type": event.type,
        "job_id": event.job_id,
        "created_at": moment(event.created_at),
        "status": delivery.status,
        "next_at": moment(delivery.next_at),
        "attempts": [
            {
                "at": moment(attempt.at),
                "duration_ms": attempt.duration_ms,
                "http_status": attempt.http_status,
                "error": attempt.error,
                "excerpt": attempt.excerpt,
            }
            for attempt in tries
        ],
    }
