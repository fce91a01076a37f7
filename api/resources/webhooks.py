"""Webhook endpoints and their deliveries: add, change, delete, list, redeliver."""

from __future__ import annotations

from typing import Annotated, Any

import falcon
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from actors.flow import job_commands
from api.context import Context
from api.http import json_body
from api.http.numbers import query_limit
from api.http.problems import Problem, not_found
from api.resources.base import Resource
from api.resources.status_document import timestamp
from api.uploads.checks import check_webhook_url
from platforms.webhook_events import EVENT_TYPES
from store import webhooks
from store.states import EndpointState
from store.webhooks import Attempt, Delivery, Endpoint, Event

EVENTS = tuple(EVENT_TYPES)
MAX_ENDPOINTS = 100
DEFAULT_LIMIT = 50
MAX_LIMIT = 500


def _known_event(name: str) -> str:
    if name not in EVENTS:
        raise ValueError(f"{name[:40]!r} is not one of {', '.join(EVENTS)}")
    return name


EventName = Annotated[str, AfterValidator(_known_event)]


class NewEndpoint(BaseModel):
    """A new endpoint; an empty list of events stands for all."""

    model_config = ConfigDict(extra="forbid")
    url: Annotated[str, Field(min_length=1, max_length=2048, description="Address that receives the events.")]
    events: Annotated[list[EventName], Field(max_length=len(EVENTS), description="Types of events. Default: all.")] = []


class EndpointChange(BaseModel):
    """A change of an endpoint; omitted fields keep their values."""

    model_config = ConfigDict(extra="forbid")
    state: Annotated[EndpointState | None, Field(description="Whether events are sent.")] = None
    events: Annotated[
        Annotated[list[EventName], Field(max_length=len(EVENTS))] | None,
        Field(description="Types of events; an empty list stands for all."),
    ] = None


class EndpointsResource(Resource):
    """GET and POST /webhooks."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the endpoints, without their secrets."""
        del request
        with self._context.store.reading() as connection:
            found = webhooks.every_endpoint(connection)
        response.media = {"endpoints": [_endpoint(endpoint) for endpoint in found]}

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Add an endpoint and return its signing secret; a known address keeps its secret."""
        body = json_body.read_body(request, NewEndpoint)
        check_webhook_url(self._context, "url", body.url)
        with self._context.store.writing() as connection:
            if webhooks.count_endpoints(connection) >= MAX_ENDPOINTS:
                raise Problem(409, "too_many_endpoints", f"the limit of {MAX_ENDPOINTS} endpoints is reached")
            made = job_commands.add_endpoint(
                self._context.machine, connection, body.url, scope="all", events=body.events
            )
            found = webhooks.get_endpoint(connection, made.id) or made
        secret = self._context.sealer.open(found.secret)
        response.status = falcon.HTTP_201
        response.location = f"/webhooks/{found.id}"
        response.cache_control = ["no-store"]
        response.media = {**_endpoint(found), "secret": secret}


class EndpointResource(Resource):
    """GET, PATCH and DELETE /webhooks/{endpoint_id}."""

    def on_get(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Show an endpoint."""
        del request
        response.media = _endpoint(_get(self._context, endpoint_id))

    def on_patch(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Enable or disable an endpoint, or change its events."""
        body = json_body.read_body(request, EndpointChange)
        _get(self._context, endpoint_id)
        with self._context.store.writing() as connection:
            if body.state is not None:
                webhooks.set_state(connection, endpoint_id, body.state)
            if body.events is not None:
                webhooks.set_events(connection, endpoint_id, body.events)
        response.media = _endpoint(_get(self._context, endpoint_id))

    def on_delete(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Delete an endpoint and its deliveries."""
        del request
        with self._context.store.writing() as connection:
            if not webhooks.remove_endpoint(connection, endpoint_id):
                raise not_found("endpoint")
        response.status = falcon.HTTP_204


class DeliveriesResource(Resource):
    """GET /webhooks/{endpoint_id}/deliveries."""

    def on_get(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """List the deliveries to an endpoint with their attempts, newest first."""
        limit = query_limit(request, default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
        _get(self._context, endpoint_id)
        with self._context.store.reading() as connection:
            found = webhooks.deliveries_of(connection, endpoint_id, limit)
        response.media = {"deliveries": [_delivery(*one) for one in found]}


class RedeliverResource(Resource):
    """POST /webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver."""

    def on_post(self, request: falcon.Request, response: falcon.Response, endpoint_id: str, delivery_id: str) -> None:
        """Send an event again, with the same id and body and a new signature."""
        del request
        with self._context.store.writing() as connection:
            found = webhooks.get_delivery(connection, delivery_id)
            if found is None or found[2].id != endpoint_id:
                raise not_found("delivery")
            if found[2].state != EndpointState.ENABLED:
                raise Problem(409, "endpoint_disabled", "the endpoint is disabled")
            if not webhooks.redeliver(connection, delivery_id, self._context.now()):
                raise Problem(409, "under_way", "the delivery is in progress")
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
        "failing_since": timestamp(endpoint.failing_since),
        "created_at": timestamp(endpoint.created_at),
    }


def _delivery(delivery: Delivery, event: Event, attempts: list[Attempt]) -> dict[str, Any]:  # Any: JSON
    return {
        "id": delivery.id,
        "event_id": event.id,
        "type": event.type,
        "job_id": event.job_id,
        "created_at": timestamp(event.created_at),
        "status": delivery.status,
        "next_at": timestamp(delivery.next_at),
        "attempts": [
            {
                "at": timestamp(attempt.at),
                "duration_ms": attempt.duration_ms,
                "http_status": attempt.http_status,
                "error": attempt.error,
                "excerpt": attempt.excerpt,
            }
            for attempt in attempts
        ],
    }
