"""Accounts on platforms, and their encrypted tokens; callers encrypt and decrypt them with a `Sealer`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, or_, select, true, update

from store import rows
from store.states import AccountStatus, AfterFailure
from store.tables import account_schedules, accounts


@dataclass(frozen=True, kw_only=True)
class Account:
    """One connected account. Columns are explained in `store.tables`."""

    id: str
    owner_id: str
    platform: str
    variant: str
    remote_id: str
    name: str
    status: AccountStatus
    tokens: bytes | None
    expires_at: datetime | None
    refresh_at: datetime | None
    refresh_expires_at: datetime | None
    created_at: datetime
    paused_until: datetime | None = None
    after_failure: AfterFailure = AfterFailure.HOLD
    reason: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", AccountStatus(self.status))
        object.__setattr__(self, "after_failure", AfterFailure(self.after_failure))


class OtherOwners(Exception):
    """Another owner has connected the account: it has to disconnect it first."""


def connect(connection: Connection, account: Account) -> str:
    """Insert an account, or update the tokens of the existing one, whose settings stay; return its id.

    An account that its owner has disconnected may be taken over by another one. Its posts still count for the limits,
    which are the platform's; its settings are those of a new account.

    Raises:
        OtherOwners: see there.
    """
    known = rows.fetch_one(
        connection,
        select(accounts).where(accounts.c.platform == account.platform, accounts.c.remote_id == account.remote_id),
        Account,
    )
    values = {name: getattr(account, name) for name in Account.__dataclass_fields__}
    if known is None:
        connection.execute(accounts.insert().values(**values))
        return account.id
    if known.owner_id == account.owner_id:
        del values["created_at"], values["after_failure"]
    elif known.status is AccountStatus.DISCONNECTED:
        connection.execute(account_schedules.delete().where(account_schedules.c.account_id == known.id))
    else:
        raise OtherOwners(known.id)
    del values["id"]
    connection.execute(update(accounts).where(accounts.c.id == known.id).values(**values, refreshing_until=None))
    return known.id


def get(connection: Connection, account_id: str) -> Account | None:
    """Return an account, or None."""
    return rows.fetch_one(connection, select(accounts).where(accounts.c.id == account_id), Account)


def list_all(connection: Connection) -> list[Account]:
    """Return the accounts of all owners that are not disconnected."""
    return _undisconnected(connection, true())


def list_of(connection: Connection, owner_id: str) -> list[Account]:
    """Return the accounts of an owner that are not disconnected."""
    return _undisconnected(connection, accounts.c.owner_id == owner_id)


def _undisconnected(connection: Connection, condition: ColumnElement[bool]) -> list[Account]:
    query = select(accounts).where(accounts.c.status != AccountStatus.DISCONNECTED, condition)
    return rows.fetch_all(
        connection, query.order_by(accounts.c.platform, accounts.c.created_at, accounts.c.id), Account
    )


def unusable(connection: Connection, now: datetime) -> dict[str, int]:
    """Count the accounts that cannot publish now, by cause.

    Returns:
        reconnect: their owners must connect them again; refused: the platform does not let them post; expired: their
            tokens have expired and were not refreshed yet.
    """
    known = list_all(connection)
    connected = [one for one in known if one.status is AccountStatus.CONNECTED]
    return {
        "reconnect": sum(one.status is AccountStatus.RECONNECT for one in known),
        "refused": sum(one.status is AccountStatus.REFUSED for one in known),
        "expired": sum(one.expires_at is not None and one.expires_at < now for one in connected),
    }


def connected(connection: Connection, owner_id: str) -> list[Account]:
    """Return the accounts of an owner for which publications are created."""
    usable = {AccountStatus.CONNECTED, AccountStatus.RECONNECT}  # posts wait until the owner connects it again
    query = select(accounts).where(accounts.c.status.in_(usable), accounts.c.owner_id == owner_id)
    return rows.fetch_all(
        connection, query.order_by(accounts.c.platform, accounts.c.created_at, accounts.c.id), Account
    )


def mark_unusable(
    connection: Connection, account_id: str, status: AccountStatus, reason: str, *, tokens: bytes | None
) -> bool:
    """Set the status of a connected account that cannot be used.

    Args:
        connection: inside `Store.writing`.
        account_id: the account's id.
        status: RECONNECT or REFUSED.
        reason: a sentence for its owner.
        tokens: the tokens that failed; the account may have got new ones meanwhile.

    Returns:
        False if the account is not connected, or has other tokens.
    """
    change = update(accounts).where(
        accounts.c.id == account_id, accounts.c.status == AccountStatus.CONNECTED, accounts.c.tokens == tokens
    )
    return connection.execute(change.values(status=status, reason=reason)).rowcount == 1


def disconnect(connection: Connection, account_id: str) -> bool:
    """Delete an account's tokens; its row stays. False if it was disconnected before."""
    change = update(accounts).where(accounts.c.id == account_id, accounts.c.status != AccountStatus.DISCONNECTED)
    values = {"status": AccountStatus.DISCONNECTED, "tokens": None, "expires_at": None}
    return connection.execute(change.values(**values)).rowcount == 1


def pause(connection: Connection, account_id: str, until: datetime, reason: str) -> None:
    """Pause an account until the given moment, as the platform demands; a longer pause stays."""
    shorter = or_(accounts.c.paused_until.is_(None), accounts.c.paused_until < until)
    change = update(accounts).where(accounts.c.id == account_id, shorter)
    connection.execute(change.values(paused_until=until, reason=reason))


def end_pauses_after(connection: Connection, moment: datetime) -> None:
    """End the pauses that would last until after a moment."""
    connection.execute(update(accounts).where(accounts.c.paused_until > moment).values(paused_until=None))


def set_after_failure(connection: Connection, account_id: str, after_failure: AfterFailure) -> bool:
    """Set the effect of a part that was not published; False if there is no such account, or it is disconnected."""
    change = update(accounts).where(accounts.c.id == account_id, accounts.c.status != AccountStatus.DISCONNECTED)
    return connection.execute(change.values(after_failure=after_failure)).rowcount == 1


def lock_refresh(connection: Connection, account_id: str, *, now: datetime, until: datetime) -> bool:
    """Lock the refresh of an account's tokens until a moment; False while another process has locked it.

    A refresh may revoke the token that it used, so two at once would make both results invalid.
    """
    free = or_(accounts.c.refreshing_until.is_(None), accounts.c.refreshing_until < now)
    change = update(accounts).where(accounts.c.id == account_id, free)
    return connection.execute(change.values(refreshing_until=until)).rowcount == 1


def set_tokens(
    connection: Connection,
    account_id: str,
    tokens: bytes,
    *,
    used: bytes,
    expires_at: datetime | None,
    refresh_at: datetime | None,
    refresh_expires_at: datetime | None,
) -> bool:
    """Store refreshed tokens and unlock the refresh.

    Returns:
        False if the account was connected again (it has other tokens than the `used` ones) or disconnected meanwhile.
        The refreshed tokens are dropped then.
    """
    change = update(accounts).where(
        accounts.c.id == account_id, accounts.c.tokens == used, accounts.c.status == AccountStatus.CONNECTED
    )
    values = {
        "tokens": tokens, "expires_at": expires_at, "refresh_at": refresh_at,
        "refresh_expires_at": refresh_expires_at, "refreshing_until": None,
    }  # fmt: skip
    return connection.execute(change.values(**values)).rowcount == 1


def unlock_refresh(connection: Connection, account_id: str) -> None:
    """Unlock the refresh without new tokens."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(refreshing_until=None))


def due_for_refresh(connection: Connection, now: datetime) -> list[Account]:
    """Return the connected accounts whose refresh is due."""
    query = select(accounts).where(accounts.c.status == AccountStatus.CONNECTED, accounts.c.refresh_at < now)
    return rows.fetch_all(connection, query, Account)
