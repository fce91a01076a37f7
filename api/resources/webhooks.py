"""Webhook endpoints and their deliveries: add, change, delete, list, replay, ping, replace the secret."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, cast

import falcon
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from actors.flow import endpoint_commands, job_commands
from api.context import Context
from api.http import json_body, time_cursor
from api.http.auth import owner_of
from api.http.numbers import query_limit
from api.http.problems import Problem, invalid_field, not_found
from api.resources import webhook_documents
from api.resources.base import Resource
from api.resources.status_document import timestamp
from api.uploads.checks import check_webhook_url
from platforms.webhook_events import EVENT_TYPES
from store import endpoints, webhooks
from store.sealing import WrongKey
from store.states import DeliveryStatus, EndpointState
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


class Replay(BaseModel):
    """Which events are sent again."""

    model_config = ConfigDict(extra="forbid")
    since: Annotated[AwareDatetime | None, Field(description="Only events from this time on.")] = None
    failed: Annotated[
        bool, Field(description="Only events that were given up, or missed while the endpoint was disabled.")
    ] = False
    as_new: Annotated[bool, Field(description="Give the events new ids. Default: they keep their ids.")] = False


class SecretRotation(BaseModel):
    """How the secret of an endpoint is replaced."""

    model_config = ConfigDict(extra="forbid")
    overlap_hours: Annotated[
        float, Field(ge=0, le=168, description="For how long the present secret signs, too. 0 if it has leaked.")
    ] = 24.0


class EndpointsResource(Resource):
    """GET and POST /webhooks."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the endpoints, without their secrets."""
        limit = query_limit(request, default=MAX_LIMIT, maximum=MAX_LIMIT)
        after = time_cursor.query(request)
        with self._context.store.reading() as connection:
            found = webhooks.page_of_endpoints(connection, owner_of(request), limit + 1, after)
            listed: webhook_documents.EndpointsDocument = {
                "endpoints": [_endpoint(connection, endpoint) for endpoint in found[:limit]],
                "next": time_cursor.next_page([(one.created_at, one.id) for one in found], limit),
            }
        response.media = listed

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Add an endpoint and return its signing secret; a known address keeps its secret."""
        body, owner_id = json_body.read_body(request, NewEndpoint), owner_of(request)
        check_webhook_url(self._context, "url", body.url)
        with self._context.store.writing(scope="everything") as connection:
            if webhooks.count_endpoints(connection, owner_id) >= MAX_ENDPOINTS:
                raise Problem(409, "too_many_endpoints", f"the limit of {MAX_ENDPOINTS} endpoints is reached")
            made = job_commands.add_endpoint(
                self._context, connection, owner_id, body.url, scope="all", events=body.events
            )
            found = endpoints.reread(connection, made)
            document = _endpoint(connection, found)
        secret = _signing_secret(self._context, found)
        response.status = falcon.HTTP_201
        response.location = f"/webhooks/{found.id}"
        response.cache_control = ["no-store"]
        response.media = _with_secret(document, secret)


class EndpointResource(Resource):
    """GET, PATCH and DELETE /webhooks/{endpoint_id}."""

    def on_get(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Show an endpoint."""
        del request
        response.media = _shown(self._context, endpoint_id)

    def on_patch(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Enable or disable an endpoint, or change its events; the response says what it has missed."""
        body = json_body.read_body(request, EndpointChange)
        _get(self._context, endpoint_id)
        with self._context.store.writing(scope="everything") as connection:
            if body.state is not None:
                endpoint_commands.set_state(self._context, connection, endpoint_id, body.state)
            if body.events is not None:
                webhooks.set_events(connection, endpoint_id, body.events)
        response.media = _shown(self._context, endpoint_id)

    def on_delete(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Delete an endpoint and its deliveries."""
        del request
        with self._context.store.writing(scope="everything") as connection:
            if not webhooks.remove_endpoint(connection, endpoint_id):
                raise not_found("endpoint")
        response.status = falcon.HTTP_204


class DeliveriesResource(Resource):
    """GET /webhooks/{endpoint_id}/deliveries."""

    def on_get(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """List the deliveries to an endpoint with their attempts, newest first."""
        limit = query_limit(request, default=DEFAULT_LIMIT, maximum=MAX_LIMIT)
        before = time_cursor.query(request)
        _get(self._context, endpoint_id)
        with self._context.store.reading() as connection:
            found = webhooks.deliveries_of(connection, endpoint_id, limit + 1, before)
        listed: webhook_documents.DeliveriesDocument = {
            "deliveries": [_delivery(*one) for one in found[:limit]],
            "next": time_cursor.next_page([(event.created_at, event.id) for _, event, _ in found], limit),
        }
        response.media = listed


class RedeliverResource(Resource):
    """POST /webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver."""

    def on_post(self, request: falcon.Request, response: falcon.Response, endpoint_id: str, delivery_id: str) -> None:
        """Send an event again, with the same id and body and a new signature."""
        del request
        with self._context.store.writing(endpoint=endpoint_id) as connection:
            found = webhooks.get_delivery(connection, delivery_id)
            if found is None or found[2].id != endpoint_id:
                raise not_found("delivery")
            if found[2].state != EndpointState.ENABLED:
                raise _disabled()
            if not endpoint_commands.redeliver(self._context, connection, endpoint_id, delivery_id):
                raise Problem(409, "under_way", "the delivery is in progress")
        response.status = falcon.HTTP_202
        state: webhook_documents.DeliveryStateDocument = {"id": delivery_id, "status": DeliveryStatus.WAITING}
        response.media = state


class ReplayResource(Resource):
    """POST /webhooks/{endpoint_id}/replay."""

    def on_post(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Send events again: all since a time, or all that were not delivered."""
        body = json_body.read_body(request, Replay)
        if body.since is None and not body.failed:
            raise invalid_field("since", "needed unless failed is true")
        try:
            count = endpoint_commands.replay(
                self._context, endpoint_id, since=body.since, failed=body.failed, as_new=body.as_new
            )
        except endpoint_commands.EndpointDisabled:
            raise _disabled() from None
        if count is None:
            raise not_found("endpoint")
        response.status = falcon.HTTP_202
        replayed: webhook_documents.ReplayedDocument = {"replayed": count}
        response.media = replayed


class PingResource(Resource):
    """POST /webhooks/{endpoint_id}/ping."""

    def on_post(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Send a test event once; its outcome is in the deliveries."""
        del request
        delivery_id = endpoint_commands.ping(self._context, endpoint_id)
        if delivery_id is None:
            raise not_found("endpoint")
        response.status = falcon.HTTP_202
        ping: webhook_documents.PingDocument = {"delivery_id": delivery_id, "status": DeliveryStatus.WAITING}
        response.media = ping


class SecretResource(Resource):
    """GET /webhooks/{endpoint_id}/secret."""

    def on_get(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Return the signing secret, also of an endpoint that an upload has named."""
        del request
        endpoint = _get(self._context, endpoint_id)
        response.cache_control = ["no-store"]
        document: webhook_documents.SecretDocument = {"secret": _signing_secret(self._context, endpoint)}
        response.media = document


class RotateResource(Resource):
    """POST /webhooks/{endpoint_id}/rotate."""

    def on_post(self, request: falcon.Request, response: falcon.Response, endpoint_id: str) -> None:
        """Replace the signing secret; for a while events have the signatures of both."""
        body = json_body.read_body(request, SecretRotation)
        try:
            secret = endpoint_commands.rotate_secret(self._context, endpoint_id, timedelta(hours=body.overlap_hours))
        except endpoint_commands.RotationInProgress:
            detail = "the secret was replaced, and the one before is still valid; overlap_hours 0 ends that"
            raise Problem(409, "rotation_in_progress", detail) from None
        if secret is None:
            raise not_found("endpoint")
        response.cache_control = ["no-store"]
        response.media = _with_secret(_shown(self._context, endpoint_id), secret)


def _get(context: Context, endpoint_id: str) -> Endpoint:
    with context.store.reading() as connection:
        found = webhooks.get_endpoint(connection, endpoint_id)
    if found is None:
        raise not_found("endpoint")
    return found


def _signing_secret(context: Context, endpoint: Endpoint) -> str:
    try:
        return endpoint_commands.signing_secret(context, endpoint)
    except WrongKey:
        detail = (
            "the secret of this endpoint was encrypted with another SECRET_KEY; put that key back and restart, or get "
            f"a new secret by POST /webhooks/{endpoint.id}/rotate"
        )
        raise Problem(409, "secret_unreadable", detail) from None


def _shown(context: Context, endpoint_id: str) -> webhook_documents.EndpointDocument:
    with context.store.reading() as connection:
        found = webhooks.get_endpoint(connection, endpoint_id)
        if found is None:
            raise not_found("endpoint")
        return _endpoint(connection, found)


def _with_secret(
    document: webhook_documents.EndpointDocument, secret: str
) -> webhook_documents.EndpointWithSecretDocument:
    return {**document, "secret": secret}


def _disabled() -> Problem:
    return Problem(409, "endpoint_disabled", "the endpoint is disabled; enable it first")


def _endpoint(connection: Connection, endpoint: Endpoint) -> webhook_documents.EndpointDocument:
    backlog = endpoints.backlog(connection, endpoint.id)
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "scope": cast("Literal['all', 'named']", endpoint.scope),
        "events": endpoint.events,
        "state": endpoint.state,
        "disabled_code": endpoint.disabled_code,
        "disabled_at": timestamp(endpoint.disabled_at),
        "failing_since": timestamp(endpoint.failing_since),
        "failures": endpoint.failures,
        "last_error": endpoint.last_error,
        "attempted_at": timestamp(endpoint.attempted_at),
        "paused_until": timestamp(endpoint.paused_until),
        "waiting": backlog.waiting,
        "failed": backlog.failed,
        "dropped": endpoint.dropped,
        "missed": {"count": backlog.missed, "since": timestamp(backlog.missed_since)},
        "previous_secret_until": timestamp(endpoint.previous_until),
        "created_at": timestamp(endpoint.created_at),
    }


def _due_at(delivery: Delivery) -> datetime | None:
    """Return when the next attempt is due. Stored is a place in the order, which may be before it began to wait."""
    if delivery.next_at is None or delivery.queued_at is None:
        return delivery.next_at
    return max(delivery.next_at, delivery.queued_at)


def _delivery(delivery: Delivery, event: Event, attempts: list[Attempt]) -> webhook_documents.DeliveryDocument:
    return {
        "id": delivery.id,
        "event_id": event.id,
        "type": event.type,
        "job_id": event.job_id,
        "created_at": timestamp(event.created_at),
        "status": delivery.status,
        "reason": delivery.reason,
        "next_at": timestamp(_due_at(delivery)),
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
