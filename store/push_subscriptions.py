"""The browsers that receive notices by web push.

The address of a subscription lets its holder send to the browser. So address and keys are stored encrypted, and the id
is a hash of the address, which the page computes, too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, func, or_, select, true, update

from store import rows
from store.owners import DEFAULT_OWNER
from store.tables import api_keys
from store.tables import push_subscriptions as subscriptions

ID_CHARS = 32
MAX_SUBSCRIPTIONS = 50
"""Of an owner: more than one creator's browsers. A new one replaces the one not reached for the longest time."""


@dataclass(frozen=True, kw_only=True)
class PushSubscription:
    """A browser's subscription. Columns are explained in `store.tables`."""

    id: str
    owner_id: str
    host: str
    secret: bytes = field(repr=False)
    public_key: str
    user_agent: str
    key_id: str | None = None
    created_at: datetime
    succeeded_at: datetime | None = None
    failures: int = 0
    last_error: str | None = None
    disabled_at: datetime | None = None


def subscription_id(endpoint: str) -> str:
    """Return the id of the subscription with an address: "sub_" and 32 hexadecimal digits of its SHA-256."""
    return f"sub_{sha256(endpoint.encode()).hexdigest()[:ID_CHARS]}"


def put(connection: Connection, subscription: PushSubscription) -> bool:
    """Insert a subscription, or replace the one with the same address; return whether it is new.

    A replaced subscription is enabled, and keeps the time of its last success. It may get another owner: the address
    is known to its browser only, where somebody else has signed in.
    """
    values = {name: getattr(subscription, name) for name in PushSubscription.__dataclass_fields__}
    changed = {name: value for name, value in values.items() if name not in {"id", "created_at", "succeeded_at"}}
    change = update(subscriptions).where(subscriptions.c.id == subscription.id)
    if connection.execute(change.values(**changed)).rowcount == 1:
        return False
    last_reached = func.coalesce(subscriptions.c.succeeded_at, subscriptions.c.created_at)
    mine = subscriptions.c.owner_id == subscription.owner_id
    kept = select(subscriptions.c.id).where(mine).order_by(last_reached.desc()).limit(MAX_SUBSCRIPTIONS - 1)
    connection.execute(subscriptions.delete().where(mine, subscriptions.c.id.not_in(kept)))
    connection.execute(subscriptions.insert().values(**values))
    return True


def get(connection: Connection, subscription_id: str) -> PushSubscription | None:
    """Return a subscription, or None."""
    return rows.fetch_one(
        connection, select(subscriptions).where(subscriptions.c.id == subscription_id), PushSubscription
    )


def list_of(connection: Connection, owner_id: str) -> list[PushSubscription]:
    """Return the subscriptions of an owner, oldest first."""
    query = select(subscriptions).where(subscriptions.c.owner_id == owner_id)
    return rows.fetch_all(connection, query.order_by(subscriptions.c.created_at), PushSubscription)


def enabled_ids(connection: Connection, owner_id: str) -> list[str]:
    """Return the ids of an owner's subscriptions that are not disabled, oldest first."""
    query = select(subscriptions.c.id).where(
        subscriptions.c.disabled_at.is_(None), subscriptions.c.owner_id == owner_id
    )
    return list(connection.scalars(query.order_by(subscriptions.c.created_at)))


def remove(connection: Connection, subscription_id: str) -> bool:
    """Delete a subscription; False if there is none."""
    return connection.execute(subscriptions.delete().where(subscriptions.c.id == subscription_id)).rowcount == 1


def remove_of_key(connection: Connection, key_id: str | None = None) -> None:
    """Delete the subscriptions that were made with a key, or all; also its owner's of which the key is not known."""
    of_key = select(api_keys.c.owner_id).where(api_keys.c.id == key_id).scalar_subquery()
    unknown = subscriptions.c.key_id.is_(None) & (subscriptions.c.owner_id == func.coalesce(of_key, DEFAULT_OWNER))
    whose = true() if key_id is None else or_(subscriptions.c.key_id == key_id, unknown)
    connection.execute(subscriptions.delete().where(whose))


def remove_of_other_keys(connection: Connection, prefix: str, kept: Collection[str]) -> None:
    """Delete the subscriptions that were made with keys whose id has a prefix, except those of some keys."""
    is_unkept = subscriptions.c.key_id.startswith(prefix, autoescape=True) & subscriptions.c.key_id.not_in(kept)
    connection.execute(subscriptions.delete().where(is_unkept))


def record_success(connection: Connection, subscription_id: str, now: datetime) -> None:
    """Record that the push service has accepted a message."""
    values = {"succeeded_at": now, "failures": 0, "last_error": None}
    connection.execute(update(subscriptions).where(subscriptions.c.id == subscription_id).values(**values))


def record_failure(connection: Connection, subscription_id: str, error: str) -> int:
    """Record a delivery that was given up; return how many there were since the last success."""
    mine = subscriptions.c.id == subscription_id
    connection.execute(
        update(subscriptions).where(mine).values(failures=subscriptions.c.failures + 1, last_error=error)
    )
    return int(connection.scalar(select(subscriptions.c.failures).where(mine)) or 0)


def disable(connection: Connection, subscription_id: str, now: datetime) -> bool:
    """Send nothing more to a subscription; False if it is disabled or deleted."""
    change = update(subscriptions).where(subscriptions.c.id == subscription_id, subscriptions.c.disabled_at.is_(None))
    return connection.execute(change.values(disabled_at=now)).rowcount == 1
