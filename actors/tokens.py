"""Access tokens that are good now. Refreshing is serialised per account, since a refresh may kill the token it used."""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger

from actors import wiring
from actors.announce import announce
from platforms import oauth
from platforms.contract import Account as Usable
from platforms.errors import PlatformError, Reconnect, TryLater
from store import accounts
from store.accounts import Account
from store.states import AccountStatus

# Half an hour before the end, or a quarter of a short life: a refresh that fails leaves time for others.
MARGIN = timedelta(minutes=30)
EXCHANGE_DEADLINE = timedelta(minutes=2)  # of one refresh; afterwards somebody else may try


def usable(account_id: str) -> Usable:
    """Return an account with a token that is good now, exchanging it first if it ends soon.

    Raises:
        Reconnect: there is no way to a good token but a person; the account is marked so and that is announced.
        TryLater: the exchange cannot be made right now.
    """
    account = _load(account_id)
    if account.expires_at is not None and account.expires_at < wiring.now() + MARGIN:
        return refreshed(account_id)
    return _opened(account)


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
        tokens = oauth.refresh(wiring.oauth_client(account), wiring.hosts, account.variant, _tokens(account))
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
            wiring.sealer.seal(oauth.to_json(tokens)),
            expires_at=tokens.expires_at,
            refresh_expires_at=tokens.refresh_expires_at,
        )
    return _opened(_load(account_id))


def needs_reconnect(account_id: str, reason: str) -> None:
    """Mark an account whose tokens are dead, and tell of it once."""
    with wiring.store.writing() as connection:
        accounts.release_refresh(connection, account_id)
        if not accounts.set_status(connection, account_id, AccountStatus.RECONNECT, reason):
            return
        account = accounts.get(connection, account_id)
        if account is not None:
            logger.warning("account {} of {} must be connected again: {}", account_id, account.platform, reason)
            facts = {"account_id": account_id, "platform": account.platform, "name": account.name}
            announce(connection, "account.reconnect_needed", reason=reason, **facts)


def _load(account_id: str) -> Account:
    with wiring.store.reading() as connection:
        account = accounts.get(connection, account_id)
    if account is None or account.tokens is None or account.status is not AccountStatus.CONNECTED:
        raise Reconnect("not_connected", "the account is not connected")
    return account


def _tokens(account: Account) -> oauth.Tokens:
    assert account.tokens is not None
    return oauth.from_json(wiring.sealer.open(account.tokens))


def _opened(account: Account) -> Usable:
    return Usable(
        id=account.id,
        platform=account.platform,
        variant=account.variant,
        remote_id=account.remote_id,
        name=account.name,
        access_token=_tokens(account).access_token,
    )


def ends_soon(account: Account, now: datetime) -> bool:
    """Say whether an account's way to new tokens itself ends within two weeks."""
    return account.refresh_expires_at is not None and account.refresh_expires_at < now + timedelta(days=14)
