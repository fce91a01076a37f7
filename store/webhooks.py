"""Webhook endpoints, events, and the deliveries of events to endpoints.

Health and waiting times of endpoints are in `store.endpoints`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, update

from store import row_counts, rows
from store.locks import LockClass, lock
from store.states import DeliveryStatus, EndpointState
from store.tables import attempts, deliveries, endpoints, events, jobs

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)  # next attempt of a ping, so that it is the first in the order
PING = "ping"  # type of the event that an operator sends to one endpoint
ENDPOINT_DISABLED = "endpoint_disabled"  # reason of a missed delivery
REPLAYED_AS_NEW = "replayed_as_new"  # reason of a failed delivery whose event was sent under a new id


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A webhook endpoint. Columns are explained in `store.tables`."""

    id: str
    owner_id: str
    url: str
    scope: str
    events: list[str]
    state: EndpointState
    secret: bytes
    created_at: datetime
    previous_secret: bytes | None = None
    previous_until: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    failing_s: int = 0
    exhausted: int = 0
    dropped: int = 0
    attempted_at: datetime | None = None
    last_duration_ms: int | None = None
    last_error: str | None = None
    paused_until: datetime | None = None
    wake_at: datetime | None = None
    disabled_at: datetime | None = None
    disabled_code: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", EndpointState(self.state))


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event, with the exact text that is signed and sent. Without an owner, it concerns all of them."""

    id: str
    owner_id: str | None
    type: str
    job_id: str | None
    body: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The delivery of one event to one endpoint."""

    id: str
    event_id: str
    endpoint_id: str
    status: DeliveryStatus
    tries: int = 0
    next_at: datetime | None = None
    reason: str | None = None
    queued_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", DeliveryStatus(self.status))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt of a delivery."""

    delivery_id: str
    at: datetime
    duration_ms: int
    http_status: int | None
    error: str | None
    excerpt: str | None


def add_endpoint(connection: Connection, endpoint: Endpoint) -> Endpoint:
    """Insert an endpoint, or return the owner's existing one with the same address."""
    lock(connection, LockClass.ENDPOINT_URL, endpoint.url)
    query = select(endpoints).where(endpoints.c.url == endpoint.url, endpoints.c.owner_id == endpoint.owner_id)
    known = rows.fetch_one(connection, query, Endpoint)
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


def page_of_endpoints(
    connection: Connection, owner_id: str, limit: int, after: tuple[datetime, str] | None = None
) -> list[Endpoint]:
    """Return endpoints of an owner, oldest first; `after` is the (created_at, id) of the previous page's last one."""
    query = select(endpoints).where(endpoints.c.owner_id == owner_id)
    query = query.order_by(endpoints.c.created_at, endpoints.c.id).limit(limit)
    if after is not None:
        same_time = and_(endpoints.c.created_at == after[0], endpoints.c.id > after[1])
        query = query.where(or_(endpoints.c.created_at > after[0], same_time))
    return rows.fetch_all(connection, query, Endpoint)


def remove_endpoint(connection: Connection, endpoint_id: str) -> bool:
    """Delete an endpoint with its deliveries; False if there is none."""
    mine = select(deliveries.c.id).where(deliveries.c.endpoint_id == endpoint_id)
    connection.execute(attempts.delete().where(attempts.c.delivery_id.in_(mine)))
    connection.execute(deliveries.delete().where(deliveries.c.endpoint_id == endpoint_id))
    return connection.execute(endpoints.delete().where(endpoints.c.id == endpoint_id)).rowcount == 1


def record_event(
    connection: Connection,
    event: Event,
    webhook_url: str | None,
    new_id: Callable[[str], str],
    *,
    except_endpoint: str | None = None,
) -> list[Delivery]:
    """Insert an event, and a delivery for each endpoint of its owner that receives it.

    Args:
        connection: inside `store.writing()`.
        event: what happened.
        webhook_url: the address that the event's job names, if it does.
        new_id: returns a new id with the given prefix.
        except_endpoint: id of an endpoint that does not receive it.

    Returns:
        The deliveries that wait for an attempt. Those of disabled endpoints are missed.
    """
    add_event(connection, event)
    wanted = or_(endpoints.c.scope == "all", and_(endpoints.c.scope == "named", endpoints.c.url == webhook_url))
    query = select(endpoints).where(wanted)
    if event.owner_id is not None:
        query = query.where(endpoints.c.owner_id == event.owner_id)
    found = rows.fetch_all(connection, query, Endpoint)
    receivers = [one for one in found if one.id != except_endpoint and (not one.events or event.type in one.events)]
    made = [add_delivery(connection, event, endpoint, new_id("")) for endpoint in receivers]
    return [delivery for delivery in made if delivery.status is DeliveryStatus.WAITING]


def add_event(connection: Connection, event: Event) -> None:
    """Insert an event without deliveries."""
    connection.execute(events.insert().values(**{n: getattr(event, n) for n in Event.__dataclass_fields__}))


def add_delivery(
    connection: Connection, event: Event, endpoint: Endpoint, delivery_id: str, *, queued_at: datetime | None = None
) -> Delivery:
    """Insert the delivery of an event to an endpoint, which misses it if it is disabled.

    Args:
        connection: inside `store.writing()`.
        event: what is delivered.
        endpoint: where.
        delivery_id: the new id.
        queued_at: when it begins to wait; None: at the event.
    """
    is_missed = endpoint.state is EndpointState.DISABLED and event.type != PING
    delivery = Delivery(
        id=delivery_id,
        event_id=event.id,
        endpoint_id=endpoint.id,
        status=DeliveryStatus.MISSED if is_missed else DeliveryStatus.WAITING,
        next_at=None if is_missed else BEFORE_ALL if event.type == PING else event.created_at,
        reason=ENDPOINT_DISABLED if is_missed else None,
        queued_at=queued_at or event.created_at,
    )
    connection.execute(deliveries.insert().values(**{n: getattr(delivery, n) for n in Delivery.__dataclass_fields__}))
    return delivery


def count_endpoints(connection: Connection, owner_id: str) -> int:
    """Return how many endpoints an owner has."""
    query = select(func.count()).select_from(endpoints).where(endpoints.c.owner_id == owner_id)
    return int(connection.scalar(query) or 0)


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
    """Store the result of an attempt; False if the delivery has changed (another process made this attempt, too)."""
    change = update(deliveries).where(
        deliveries.c.id == attempt.delivery_id,
        deliveries.c.status == DeliveryStatus.WAITING,
        deliveries.c.tries == tries - 1,
    )
    if connection.execute(change.values(status=status, next_at=next_at, tries=tries)).rowcount == 0:
        return False
    connection.execute(attempts.insert().values(**{n: getattr(attempt, n) for n in Attempt.__dataclass_fields__}))
    return True


def purge(connection: Connection, before: datetime) -> int:
    """Delete older events without open deliveries; return how many."""
    awaited = select(deliveries.c.event_id).where(deliveries.c.status == DeliveryStatus.WAITING)
    old = select(events.c.id).where(events.c.created_at < before, events.c.id.not_in(awaited))
    theirs = select(deliveries.c.id).where(deliveries.c.event_id.in_(old))
    connection.execute(attempts.delete().where(attempts.c.delivery_id.in_(theirs)))
    connection.execute(deliveries.delete().where(deliveries.c.event_id.in_(old)))
    return connection.execute(events.delete().where(events.c.created_at < before, events.c.id.not_in(awaited))).rowcount


def deliveries_of(
    connection: Connection, endpoint_id: str, limit: int, before: tuple[datetime, str] | None = None
) -> list[tuple[Delivery, Event, list[Attempt]]]:
    """Return an endpoint's deliveries, newest first, each with its event and attempts.

    Args:
        connection: inside a transaction.
        endpoint_id: of the endpoint.
        limit: maximum number of deliveries.
        before: time and id of the last event of the previous page.
    """
    query = (
        select(deliveries)
        .join(events, events.c.id == deliveries.c.event_id)
        .where(deliveries.c.endpoint_id == endpoint_id)
        .order_by(events.c.created_at.desc(), events.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        same_time = and_(events.c.created_at == before[0], events.c.id < before[1])
        query = query.where(or_(events.c.created_at < before[0], same_time))
    found = []
    for delivery in rows.fetch_all(connection, query, Delivery):
        event = rows.fetch_one(connection, select(events).where(events.c.id == delivery.event_id), Event)
        tries = select(attempts).where(attempts.c.delivery_id == delivery.id).order_by(attempts.c.id)
        if event is not None:
            found.append((delivery, event, rows.fetch_all(connection, tries, Attempt)))
    return found


def redeliver(connection: Connection, delivery_id: str, now: datetime) -> bool:
    """Restart a delivery that has ended; False if it has not."""
    change = update(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.status != DeliveryStatus.WAITING)
    return connection.execute(change.values(**_again(now))).rowcount == 1


def replay(connection: Connection, endpoint_id: str, *, since: datetime | None, failed: bool, now: datetime) -> int:
    """Restart deliveries that have ended, in the order of their events; return how many.

    Args:
        connection: inside `store.writing()`.
        endpoint_id: of the endpoint.
        since: only events from this time on; None: all.
        failed: only those that have failed or were missed.
        now: the present time.
    """
    chosen = select(deliveries.c.id).join(events).where(_replayed(endpoint_id, since, failed=failed))
    change = update(deliveries).where(deliveries.c.id.in_(chosen)).values(**_again(now) | {"next_at": in_order(now)})
    return connection.execute(change).rowcount


def replayed_events(connection: Connection, endpoint_id: str, *, since: datetime | None, failed: bool) -> list[Event]:
    """Return the events that `replay` would send again, oldest first."""
    query = select(events).join(deliveries).where(_replayed(endpoint_id, since, failed=failed))
    return rows.fetch_all(connection, query.order_by(events.c.created_at), Event)


def close_replayed(connection: Connection, endpoint_id: str, *, since: datetime | None) -> None:
    """Mark failed and missed deliveries whose events are sent under new ids: they are not replayed once more."""
    chosen = select(deliveries.c.id).join(events).where(_replayed(endpoint_id, since, failed=True))
    values = {"status": DeliveryStatus.FAILED, "reason": REPLAYED_AS_NEW}
    connection.execute(update(deliveries).where(deliveries.c.id.in_(chosen)).values(**values))


def unsent_events(connection: Connection, endpoint: Endpoint, since: datetime) -> list[Event]:
    """Return the events since a time that concern an endpoint and have no delivery to it, oldest first.

    They are from before the endpoint was added, or of types that it did not receive at the time.
    """
    theirs = select(deliveries.c.event_id).where(deliveries.c.endpoint_id == endpoint.id)
    concerned = or_(events.c.owner_id == endpoint.owner_id, events.c.owner_id.is_(None))
    query = select(events).where(
        events.c.created_at >= since, events.c.id.not_in(theirs), events.c.type != PING, concerned
    )
    if endpoint.scope != "all":
        named = select(jobs.c.id).where(jobs.c.webhook_url == endpoint.url)
        query = query.where(events.c.job_id.in_(named))
    if endpoint.events:
        query = query.where(events.c.type.in_(endpoint.events))
    return rows.fetch_all(connection, query.order_by(events.c.created_at), Event)


def in_order(now: datetime) -> ColumnElement[datetime]:
    """Return a value of `next_at` with which deliveries are due now, in the order of their events."""
    happened_at = select(events.c.created_at).where(events.c.id == deliveries.c.event_id).scalar_subquery()
    return case((happened_at > now, now), else_=happened_at)  # the clock may have been set back since


def _replayed(endpoint_id: str, since: datetime | None, *, failed: bool) -> ColumnElement[bool]:
    over = [DeliveryStatus.FAILED, DeliveryStatus.MISSED, *([] if failed else [DeliveryStatus.DELIVERED])]
    chosen = and_(
        deliveries.c.endpoint_id == endpoint_id, deliveries.c.status.in_(over), events.c.type != PING
    )  # fmt: skip
    if failed:
        chosen = and_(chosen, func.coalesce(deliveries.c.reason, "") != REPLAYED_AS_NEW)
    return chosen if since is None else and_(chosen, events.c.created_at >= since)


def _again(now: datetime) -> dict[str, Any]:  # Any: as many types as columns
    return {"status": DeliveryStatus.WAITING, "tries": 0, "next_at": now, "reason": None, "queued_at": now}


def count_by_status(connection: Connection) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    return row_counts.by_status(connection, deliveries)


def oldest_due_at(connection: Connection) -> datetime | None:
    """Return the earliest time at which a waiting delivery is or was due, or None; pings are left out."""
    query = select(func.min(deliveries.c.next_at)).where(
        deliveries.c.status == DeliveryStatus.WAITING, deliveries.c.next_at > BEFORE_ALL
    )
    found: datetime | None = connection.scalar(query)
    return found
