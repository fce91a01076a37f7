"""The health of webhook endpoints, and their waiting deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from store import rows
from store.states import DeliveryStatus, EndpointState
from store.tables import deliveries, endpoints, events
from store.webhooks import ENDPOINT_DISABLED, PING, Delivery, Endpoint, Event, get_endpoint, in_order

_WAITS_SINCE = func.coalesce(deliveries.c.queued_at, deliveries.c.next_at)
BACKLOG = "backlog"  # reason of a failed delivery: too many waited, or it waited for too long

_HEALTH = (
    "failing_since", "failures", "failing_s", "exhausted", "attempted_at", "last_duration_ms", "last_error",
    "paused_until",
)  # fmt: skip
_WELL = {"failing_since": None, "failures": 0, "failing_s": 0, "exhausted": 0, "paused_until": None}


@dataclass(frozen=True)
class Backlog:
    """The deliveries of an endpoint.

    Attributes:
        waiting: for an attempt.
        failed: given up.
        missed: while the endpoint was disabled.
        missed_since: time of the first missed event; None if there is none.
    """

    waiting: int
    failed: int
    missed: int
    missed_since: datetime | None


def save_health(connection: Connection, endpoint: Endpoint) -> None:
    """Store the health of an endpoint after an attempt."""
    values = {name: getattr(endpoint, name) for name in _HEALTH}
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint.id).values(**values))


def enable(connection: Connection, endpoint_id: str) -> bool:
    """Enable an endpoint, with a clean record; False if it was enabled."""
    change = update(endpoints).where(endpoints.c.id == endpoint_id, endpoints.c.state != EndpointState.ENABLED)
    values = {"state": EndpointState.ENABLED, "disabled_at": None, "disabled_code": None, **_WELL}
    return connection.execute(change.values(**values)).rowcount == 1


def disable(connection: Connection, endpoint_id: str, *, code: str, now: datetime) -> bool:
    """Disable an endpoint and mark its waiting deliveries as missed. False if it was disabled.

    Args:
        connection: inside `store.writing()`.
        endpoint_id: of the endpoint.
        code: "gone", "failing" or "requested".
        now: the present time.
    """
    change = update(endpoints).where(endpoints.c.id == endpoint_id, endpoints.c.state != EndpointState.DISABLED)
    values = {"state": EndpointState.DISABLED, "disabled_at": now, "disabled_code": code}
    if connection.execute(change.values(**values)).rowcount == 0:
        return False
    pings = select(events.c.id).where(events.c.type == PING)
    waiting = and_(_waiting_for(endpoint_id), deliveries.c.event_id.not_in(pings))
    missed = {"status": DeliveryStatus.MISSED, "next_at": None, "reason": ENDPOINT_DISABLED}
    connection.execute(update(deliveries).where(waiting).values(**missed))
    return True


def rotate_secret(connection: Connection, endpoint_id: str, *, secret: bytes, previous_until: datetime) -> None:
    """Replace the sealed signing secret; the present one also signs until a time."""
    values = {"previous_secret": endpoints.c.secret, "previous_until": previous_until, "secret": secret}
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))


def pause(connection: Connection, endpoint_id: str, until: datetime, reason: str) -> None:
    """Let all deliveries to an endpoint, but pings, wait until a time."""
    values = {"paused_until": until, "last_error": reason}
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(**values))


def backlog(connection: Connection, endpoint_id: str) -> Backlog:
    """Return how many deliveries of an endpoint wait, failed or were missed."""
    query = select(deliveries.c.status, func.count()).where(deliveries.c.endpoint_id == endpoint_id)
    counts = {status: count for status, count in connection.execute(query.group_by(deliveries.c.status))}  # noqa: C416 (rows are no pairs to mypy)
    missed_since = connection.scalar(
        select(func.min(events.c.created_at))
        .join(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.status == DeliveryStatus.MISSED)
    )
    return Backlog(
        waiting=counts.get(DeliveryStatus.WAITING, 0),
        failed=counts.get(DeliveryStatus.FAILED, 0),
        missed=counts.get(DeliveryStatus.MISSED, 0),
        missed_since=missed_since,
    )


def next_due(connection: Connection, endpoint: Endpoint, now: datetime) -> tuple[Delivery, Event] | None:
    """Return the delivery to an endpoint that is attempted next, with its event; None if none is due.

    Pings first. Other deliveries only while the endpoint is enabled and not paused.
    """
    first = _first(connection, endpoint.id)
    if first is None or first[0].next_at is None or first[0].next_at > now:
        return None
    return first if first[1].type == PING or _may_send(endpoint, now) else None


def next_attempt_at(connection: Connection, endpoint: Endpoint) -> datetime | None:
    """Return when the next attempt at an endpoint is due, perhaps in the past; None if nothing waits."""
    first = _first(connection, endpoint.id)
    if first is None or first[0].next_at is None or first[1].type == PING:
        return None if first is None else first[0].next_at
    if endpoint.state is EndpointState.DISABLED:
        return None
    return max(first[0].next_at, endpoint.paused_until or first[0].next_at)


def set_wake_at(connection: Connection, endpoint_id: str, at: datetime | None) -> None:
    """Store the time of an endpoint's next message."""
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(wake_at=at))


def stalled(connection: Connection, *, before: datetime, latest: datetime) -> list[Endpoint]:
    """Return endpoints whose next message seems to be lost.

    Args:
        connection: any.
        before: an attempt, and a message, that was due before this time is overdue.
        latest: no attempt lies so far ahead, unless the clock was set back.
    """
    lost = or_(endpoints.c.wake_at.is_(None), endpoints.c.wake_at < before, endpoints.c.wake_at > latest)
    due = or_(deliveries.c.next_at < before, deliveries.c.next_at > latest)
    waiting = select(deliveries.c.endpoint_id).where(deliveries.c.status == DeliveryStatus.WAITING, due)
    return rows.fetch_all(connection, select(endpoints).where(lost, endpoints.c.id.in_(waiting)), Endpoint)


def make_due(connection: Connection, endpoint_id: str, *, after: datetime, now: datetime) -> None:
    """Make deliveries of an endpoint that are scheduled after a time due now, in the order of their events.

    A pause that would last until after that time ends.
    """
    paused = and_(endpoints.c.id == endpoint_id, endpoints.c.paused_until > after)
    connection.execute(update(endpoints).where(paused).values(paused_until=None))
    later = and_(_waiting_for(endpoint_id), deliveries.c.next_at > after)
    connection.execute(update(deliveries).where(later).values(next_at=in_order(now)))


def crowded(connection: Connection, *, keep: int, before: datetime) -> list[str]:
    """Return the ids of endpoints for which more deliveries wait than are kept, or some since before a time."""
    waiting = select(deliveries.c.endpoint_id).where(deliveries.c.status == DeliveryStatus.WAITING)
    grouped = waiting.group_by(deliveries.c.endpoint_id)
    query = grouped.having(or_(func.count() > keep, func.min(_WAITS_SINCE) < before))
    return list(connection.scalars(query))


def drop_backlog(connection: Connection, endpoint_id: str, *, keep: int, before: datetime) -> int:
    """Give up the deliveries that have waited since before a time, and the oldest of too many; return how many.

    Args:
        connection: inside `store.writing()`.
        endpoint_id: of the endpoint.
        keep: how many deliveries may wait for it.
        before: the time.
    """
    mine = _waiting_for(endpoint_id)
    count = connection.scalar(select(func.count()).select_from(deliveries).where(mine)) or 0
    oldest = select(deliveries.c.id).where(mine).order_by(_WAITS_SINCE, deliveries.c.id).limit(max(0, count - keep))
    too_old = select(deliveries.c.id).where(mine, before > _WAITS_SINCE)
    chosen = or_(deliveries.c.id.in_(oldest), deliveries.c.id.in_(too_old))
    values = {"status": DeliveryStatus.FAILED, "next_at": None, "reason": BACKLOG}
    given_up = connection.execute(update(deliveries).where(chosen).values(**values)).rowcount
    total = endpoints.c.dropped + given_up
    connection.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(dropped=total))
    return given_up


def in_trouble(connection: Connection, owner_id: str | None) -> list[Endpoint]:
    """Return the endpoints of an owner, or of all, that are disabled or whose last attempt failed, oldest first."""
    query = select(endpoints).where(or_(endpoints.c.state == EndpointState.DISABLED, endpoints.c.failures > 0))
    if owner_id is not None:
        query = query.where(endpoints.c.owner_id == owner_id)
    return rows.fetch_all(connection, query.order_by(endpoints.c.created_at), Endpoint)


def reread(connection: Connection, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint as it is now; the given one if it was deleted."""
    return get_endpoint(connection, endpoint.id) or endpoint


def _waiting_for(endpoint_id: str) -> ColumnElement[bool]:
    return and_(deliveries.c.endpoint_id == endpoint_id, deliveries.c.status == DeliveryStatus.WAITING)


def _first(connection: Connection, endpoint_id: str) -> tuple[Delivery, Event] | None:
    query = select(deliveries).where(_waiting_for(endpoint_id)).order_by(deliveries.c.next_at).limit(1)
    delivery = rows.fetch_one(connection, query, Delivery)
    if delivery is None:
        return None
    event = rows.fetch_one(connection, select(events).where(events.c.id == delivery.event_id), Event)
    return None if event is None else (delivery, event)


def _may_send(endpoint: Endpoint, now: datetime) -> bool:
    is_paused = endpoint.paused_until is not None and endpoint.paused_until > now
    return endpoint.state is EndpointState.ENABLED and not is_paused
