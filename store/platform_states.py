"""The outages of platforms: failures in a row across publications, and pauses of whole platforms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from store import rows
from store.locks import LockClass, lock
from store.tables import platform_states


@dataclass(frozen=True, kw_only=True)
class PlatformState:
    """The state of one platform. Columns are explained in `store.tables`."""

    platform: str
    failures_in_a_row: int = 0
    since: datetime | None = None
    paused_until: datetime | None = None
    code: str | None = None
    reason: str | None = None

    @property
    def is_out(self) -> bool:
        """Return whether the platform has an outage; its pause may be over."""
        return self.paused_until is not None

    def is_paused(self, now: datetime) -> bool:
        """Return whether no step may be run now."""
        return self.paused_until is not None and self.paused_until > now


def get(connection: Connection, platform: str) -> PlatformState:
    """Return the state of a platform."""
    query = select(platform_states).where(platform_states.c.platform == platform)
    return rows.fetch_one(connection, query, PlatformState) or PlatformState(platform=platform)


def get_locked(connection: Connection, platform: str) -> PlatformState:
    """Return the state of a platform, which no other transaction changes before the end of this one."""
    lock(connection, LockClass.PLATFORM, platform)
    return get(connection, platform)


def list_out(connection: Connection) -> list[PlatformState]:
    """Return the platforms that have an outage."""
    query = select(platform_states).where(platform_states.c.paused_until.is_not(None))
    return rows.fetch_all(connection, query.order_by(platform_states.c.platform), PlatformState)


def put(connection: Connection, state: PlatformState) -> None:
    """Store the state of a platform."""
    values = {name: getattr(state, name) for name in PlatformState.__dataclass_fields__}
    rows.upsert(connection, platform_states, values)


def end_pauses_after(connection: Connection, moment: datetime, now: datetime) -> None:
    """Let the pauses that would last until after a moment end now; the next step is a trial, as after each pause."""
    change = update(platform_states).where(platform_states.c.paused_until > moment)
    connection.execute(change.values(paused_until=now))


def clear(connection: Connection, platform: str) -> PlatformState:
    """Delete the failures of a platform, which ends its outage; return the previous state."""
    if get(connection, platform) == PlatformState(platform=platform):
        return PlatformState(platform=platform)  # the usual case takes no lock
    before = get_locked(connection, platform)
    put(connection, PlatformState(platform=platform))
    return before
