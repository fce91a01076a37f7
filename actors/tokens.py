"""Access tokens that are good now. Refreshing is serialised per account, since a refresh may kill the token it used."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from loguru import logger

from actors import wiring
from actors.announce import announce
from platforms.contract import Account as Usable
from platforms.errors import PlatformError, Reconnect, TryLater
from platforms.oauth.contract import Client, Tokens
from store import accounts
from store.accounts import Account
from store.states import AccountStatus

EXCHANGE_DEADLINE = timedelta(minutes=2)  # of one refresh; afterwards somebody else may try


def usable(account_id: str) -> Usable:
    """Return an account with a token that is good now, exchanging it first if it ends soon.

    Raises:
        Reconnect: there is no way to a good token but a person; the account is marked so and that is announced.
        TryLater: the exchange cannot be made right now.
    """
    account = _load(account_id)
    if account.refresh_at is not None and account.refresh_at < wiring.now():
        return refreshed(account_id)
    return _usable(account)


def refreshed(account_id: str) -> Usable:
    """Exchange an account's tokens now, whatever they say of their end, and return the account with the new one.

    Raises:
        Reconnect: as for `usable`.
        TryLater: as for `usable`; also while somebody else is exchanging them.
    """
    moment = wiring.now()
    with wiring.store.writing() as connection:
        if not accounts.take_refresh(connection, account_id, now=moment, until=moment + EXCHANGE_DEADLINE):
            raise TryLater("refresh_under_way", "the account's token is being exchanged", retry_after_s=2.0)
    account = _load(account_id)
    try:
        from platforms import registry  # noqa: PLC0415 (as in wiring: the API need not carry it)

        flow = registry.flow(account.variant, wiring.hosts, tiktok_mode=wiring.settings.tiktok_mode)
        tokens = flow.refresh(client(account.variant), opened(account))
    except Reconnect as dead:
        needs_reconnect(account_id, dead.detail)
        raise
    except PlatformError:
        with wiring.store.writing() as connection:
            accounts.release_refresh(connection, account_id)
        raise
    with wiring.store.writing() as connection:  # committed before the new token is used
        accounts.set_tokens(
            connection,
            account_id,
            sealed(tokens),
            expires_at=tokens.expires_at,
            refresh_at=tokens.refresh_at,
            refresh_expires_at=tokens.refresh_expires_at,
        )
    return _usable(_load(account_id))


def needs_reconnect(account_id: str, reason: str) -> None:
    """Mark an account whose tokens are dead, and tell of it once."""
    with wiring.store.writing() as connection:
        accounts.release_refresh(connection, account_id)
        if not accounts.set_status(connection, account_id, AccountStatus.RECONNECT, reason):
            return
        account = accounts.get(connection, account_id)
        if account is not None:
            logger.warning("account {} of {} must be connected again: {}", account_id, account.platform, reason)
            announce(
                connection, "account.reconnect_needed", reason=reason, account_id=account_id,
                platform=account.platform, name=account.name,
            )  # fmt: skip


def _load(account_id: str) -> Account:
    with wiring.store.reading() as connection:
        account = accounts.get(connection, account_id)
    if account is None or account.tokens is None or account.status is not AccountStatus.CONNECTED:
        raise Reconnect("not_connected", "the account is not connected")
    return account


def client(variant: str) -> Client:
    """Return our registration for a login.

    Raises:
        Reconnect: this machine has none; nothing can be refreshed with it.
    """
    registered = {
        "tiktok": wiring.settings.tiktok,
        "instagram_login": wiring.settings.instagram,
        "facebook_login": wiring.settings.facebook,
        "google": wiring.settings.google,
    }[variant]
    if registered is None:
        raise Reconnect("no_client", f"this machine has no client id and secret for {variant}")
    return Client(registered.client_id, registered.client_secret.get_secret_value())


def sealed(tokens: Tokens) -> bytes:
    """Encrypt tokens for the store."""
    facts = {name: v.isoformat() if isinstance(v, datetime) else v for name, v in asdict(tokens).items()}
    return wiring.sealer.seal(facts)


def opened(account: Account) -> Tokens:
    """Decrypt an account's tokens."""
    assert account.tokens is not None
    facts: dict[str, Any] = wiring.sealer.open(account.tokens)  # Any: what `sealed` wrote
    moments = {
        n: datetime.fromisoformat(facts[n]) for n in ("expires_at", "refresh_expires_at", "refresh_at") if facts[n]
    }
    return Tokens(**(facts | moments))


def _usable(account: Account) -> Usable:
    return Usable(
        id=account.id,
        platform=account.platform,
        variant=account.variant,
        remote_id=account.remote_id,
        name=account.name,
        access_token=opened(account).access_token,
    )
