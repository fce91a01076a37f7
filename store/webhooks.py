"""Webhook endpoints, events, and the deliveries of events to endpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select, update

from store import rows
from store.states import DeliveryStatus, EndpointState
from store.tables import attempts, deliveries, endpoints, events


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A place to tell. Columns are explained in `store.tables`."""

    id: str
    url: str
    scope: str
    events: list[str]
    state: EndpointState
    secret: bytes
    created_at: datetime
    previous_secret: bytes | None = None
    previous_until: datetime | None = None
    failing_since: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", EndpointState(self.state))


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, as the exact text that is signed and sent."""

    id: str
    type: str
    job_id: str | None
    body: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint."""

    id: str
    event_id: str
    endpoint_id: str
    status: DeliveryStatus
    tries: int = 0
    next_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", DeliveryStatus(self.status))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try of a delivery."""

    delivery_id: str
    at: datetime
    duration_ms: int
    http_status: int | None
    error: str | None
    excerpt: str | None


def add_endpoint(connection: Connection, endpoint: Endpoint) -> Endpoint:
    """Insert an endpoint, or return the existing one with the same address."""
    known = rows.fetch_one(connection, select(endpoints).where(endpoints.c.url == endpoint.url), Endpoint)
    if known is not None:
        return known
    values = {name: getattr(endpoint, name) for name in Endpoint.__dataclass_fields__}
    connection.execute(endpoints.insert().values(**values))
    return endpoint


def set_scope_all(connection: Connection, endpoint_id: str) -> None:
    """Have an endpoint that received the events of single jobs receive those of all jobs."""
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(scope="all"))


def set_events(connection: Connection, endpoint_id: str, wanted: list[str]) -> bool:
    """Change which events an endpoint receives; an empty list means all. False if there is no such endpoint."""
    change = update(endpoints).where(endpoints.c.id == endpoint_id)
    return connection.execute(change.values(events=wanted)).rowcount == 1


def get_endpoint(connection: Connection, endpoint_id: str) -> Endpoint | None:
    """Return an endpoint, or None."""
    return rows.fetch_one(connection, select(endpoints).where(endpoints.c.id == endpoint_id), Endpoint)


def every_endpoint(connection: Connection) -> list[Endpoint]:
    """Return all endpoints, oldest first."""
    return rows.fetch_all(connection, select(endpoints).order_by(endpoints.c.created_at), Endpoint)


def remove_endpoint(connection: Connection, endpoint_id: str) -> bool:
    """Forget an endpoint with its deliveries; False if there is none."""
    mine = select(deliveries.c.id).where(deliveries.c.endpoint_id == endpoint_id)
    connection.execute(attempts.delete().where(attempts.c.delivery_id.in_(mine)))
    connection.execute(deliveries.delete().where(deliveries.c.endpoint_id == endpoint_id))
    return connection.execute(endpoints.delete().where(endpoints.c.id == endpoint_id)).rowcount == 1


def set_state(connection: Connection, endpoint_id: str, state: EndpointState) -> bool:
    """Switch an endpoint on or off; False if it was so before."""
    change = update(endpoints).where(endpoints.c.id == endpoint_id, endpoints.c.state != state)
    return connection.execute(change.values(state=state, failing_since=None)).rowcount == 1


def record_event(
    connection: Connection, event: Event, webhook_url: str | None, new_id: Callable[[str], str]
) -> list[Delivery]:
    """Insert an event, and a delivery for each endpoint that receives it.

    Args:
        event: what happened.
        webhook_url: the address that the event's job names, if it does.
        new_id: returns a new id with the given prefix.
    """
    connection.execute(events.insert().values(**{n: getattr(event, n) for n in Event.__dataclass_fields__}))
    wanted = or_(endpoints.c.scope == "all", and_(endpoints.c.scope == "named", endpoints.c.url == webhook_url))
    query = select(endpoints).where(endpoints.c.state == EndpointState.ENABLED, wanted)
    made: list[Delivery] = []
    for endpoint in rows.fetch_all(connection, query, Endpoint):
        if endpoint.events and event.type not in endpoint.events:
            continue
        delivery = Delivery(
            id=new_id(""), event_id=event.id, endpoint_id=endpoint.id,
            status=DeliveryStatus.WAITING, next_at=event.created_at,
        )  # fmt: skip
        connection.execute(
            deliveries.insert().values(**{n: getattr(delivery, n) for n in Delivery.__dataclass_fields__})
        )
        made.append(delivery)
    return made


def count_endpoints(connection: Connection) -> int:
    """Return how many endpoints there are."""
    return int(connection.scalar(select(func.count()).select_from(endpoints)) or 0)


def get_delivery(connection: Connection, delivery_id: str) -> tuple[Delivery, Event, Endpoint] | None:
    """Return a delivery with its event and endpoint, or None."""
    delivery = rows.fetch_one(connection, select(deliveries).where(deliveries.c.id == delivery_id), Delivery)
    if delivery is None:
        return None
    event = rows.fetch_one(connection, select(events).where(events.c.id == delivery.event_id), Event)
    endpoint = get_endpoint(connection, delivery.endpoint_id)
    return None if event is None or endpoint is None else (delivery, event, endpoint)


def record_attempt(
    connection: Connection, attempt: Attempt, *, status: DeliveryStatus, next_at: datetime | None, tries: int
) -> bool:
    """Note how a try went; False if the delivery had moved on meanwhile (another process made this try, too)."""
    change = update(deliveries).where(
        deliveries.c.id == attempt.delivery_id,
        deliveries.c.status == DeliveryStatus.WAITING,
        deliveries.c.tries == tries - 1,
    )
    if connection.execute(change.values(status=status, next_at=next_at, tries=tries)).rowcount == 0:
        return False
    connection.execute(attempts.insert().values(**{n: getattr(attempt, n) for n in Attempt.__dataclass_fields__}))
    return True


def record_health(connection: Connection, endpoint_id: str, *, succeeded: bool, now: datetime) -> datetime | None:
    """Note whether an endpoint answers; return since when it has not."""
    since = None if succeeded else func.coalesce(endpoints.c.failing_since, now)
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(failing_since=since))
    return connection.scalar(select(endpoints.c.failing_since).where(endpoints.c.id == endpoint_id))


def schedule(connection: Connection, delivery_id: str, now: datetime) -> None:
    """Count a delivery's wait from now on: it was sent again."""
    connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(next_at=now))


def purge(connection: Connection, before: datetime) -> int:
    """Delete older events without open deliveries; return how many."""
    awaited = select(deliveries.c.event_id).where(deliveries.c.status == DeliveryStatus.WAITING)
    old = select(events.c.id).where(events.c.created_at < before, events.c.id.not_in(awaited))
    theirs = select(deliveries.c.id).where(deliveries.c.event_id.in_(old))
    connection.execute(attempts.delete().where(attempts.c.delivery_id.in_(theirs)))
    connection.execute(deliveries.delete().where(deliveries.c.event_id.in_(old)))
    return connection.execute(events.delete().where(events.c.created_at < before, events.c.id.not_in(awaited))).rowcount


def overdue(connection: Connection, before: datetime) -> list[Delivery]:
    """Return deliveries whose next try should have been made before the given moment."""
    query = select(deliveries).where(deliveries.c.status == DeliveryStatus.WAITING, deliveries.c.next_at < before)
    return rows.fetch_all(connection, query, Delivery)


def deliveries_of(connection: Connection, endpoint_id: str, limit: int) -> list[tuple[Delivery, Event, list[Attempt]]]:
    """Return an endpoint's deliveries, newest first, each with its event and tries."""
    query = (
        select(deliveries)
        .join(events, events.c.id == deliveries.c.event_id)
        .where(deliveries.c.endpoint_id == endpoint_id)
        .order_by(events.c.created_at.desc(), events.c.id.desc())
        .limit(limit)
    )
    found = []
    for delivery in rows.fetch_all(connection, query, Delivery):
        event = rows.fetch_one(connection, select(events).where(events.c.id == delivery.event_id), Event)
        tries = select(attempts).where(attempts.c.delivery_id == delivery.id).order_by(attempts.c.id)
        if event is not None:
            found.append((delivery, event, rows.fetch_all(connection, tries, Attempt)))
    return found


def redeliver(connection: Connection, delivery_id: str, now: datetime) -> bool:
    """Let a delivery that is over be tried again from the start; False if it is under way."""
    change = update(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.status != DeliveryStatus.WAITING)
    values = {"status": DeliveryStatus.WAITING, "tries": 0, "next_at": now}
    return connection.execute(change.values(**values)).rowcount == 1


def count_by_status(connection: Connection) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    return rows.counts(connection, deliveries.c.status)
