"""Valid access tokens. Refreshes are serialised per account, because a refresh may revoke the token it used."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors.flow.events import emit
from actors.machine import Machine
from platforms import registry
from platforms.contract import AuthorizedAccount
from platforms.definition import PublishingOptions
from platforms.errors import Cause, OperatorNeeded, PlatformError, RateLimited, Reconnect, TryLater, Unclear
from platforms.oauth import ClientCredentials, Tokens
from store import accounts, publication_queue
from store.accounts import Account
from store.sealing import WrongKey
from store.states import UNUSABLE_CODES, AccountStatus

WRONG_KEY = "the account's tokens were encrypted with another SECRET_KEY"
WRONG_KEY_PAUSE_S = 60.0  # also the time until everything goes on after the key was put back
MIN_VALIDITY = timedelta(minutes=5)  # longer than a step uses its token
LOGIN_REFUSED = "login_refused"  # the code of `OAuthFlow.refresh` for a refusal that no table lists
REFUSED_FOR = timedelta(hours=24)  # after the token's end; a refusal may be a fault that passes
REFRESH_DEADLINE = timedelta(minutes=2)  # of one refresh; afterwards another process may try


class SealedWithOtherKey(RateLimited):
    """The account waits until its SECRET_KEY is put back, or it is connected again. Nothing is requested or fails."""

    def __init__(self, detail: str) -> None:
        super().__init__("wrong_key", detail, retry_after_s=WRONG_KEY_PAUSE_S, scope="account")


@dataclass(frozen=True)
class Access:
    """An account with a valid access token, and the encrypted tokens it was read from."""

    account: AuthorizedAccount
    tokens: bytes = field(repr=False)


def send_due_refreshes(machine: Machine) -> None:
    """Send a message for every account whose tokens are to be refreshed; the next tick repeats failed ones."""
    with machine.store.writing(scope="rows") as connection:
        for account in accounts.due_for_refresh(connection, machine.now()):
            machine.send("refresh_token", account.id)


def refresh_if_due(machine: Machine, account_id: str) -> None:
    """Refresh the tokens of one account, unless that has happened meanwhile."""
    try:
        get_access(machine, account_id)
    except Reconnect:
        return  # recorded there, with an event
    except PlatformError as error:
        logger.warning("Account {}: tokens not refreshed: {}", account_id, error)


def get_access(machine: Machine, account_id: str) -> Access:
    """Return an account with a valid access token, after a refresh if one is due.

    A refresh that fails leaves the present token in use while it is valid.

    Raises:
        Reconnect: a person has to connect the account again; it is marked so, with an event.
        OperatorNeeded: the platform does not accept our registration, and the token has expired.
        TryLater: the refresh cannot be made now, and the token has expired.
        SealedWithOtherKey: the tokens cannot be read.
    """
    account = _load(machine, account_id)
    if account.refresh_at is None or account.refresh_at > machine.now():
        return _access(machine, account)
    try:
        return refresh(machine, account)
    except SealedWithOtherKey:
        raise
    except (TryLater, Unclear) as later:
        if account.expires_at is None or account.expires_at >= machine.now() + MIN_VALIDITY:
            return _access(machine, account)  # the refresh failed, but the present token is still valid
        _end_lasting_refusal(machine, account, later)
        if isinstance(later, OperatorNeeded):
            raise
        # Neither the post nor the platform's publishing is to blame.
        cause: Cause = "network" if later.cause == "network" else "wait"
        raise TryLater(later.code, later.detail, retry_after_s=later.retry_after_s, cause=cause) from later


def _end_lasting_refusal(machine: Machine, account: Account, error: PlatformError) -> None:
    """Give up tokens whose refresh is refused for a reason that no table lists, a day after they have expired.

    Raises:
        Reconnect: that day is over.
    """
    is_over = account.expires_at is not None and machine.now() - account.expires_at > REFUSED_FOR
    if error.code != LOGIN_REFUSED or not is_over:
        return
    with machine.store.writing(accounts=[account.id]) as connection:
        mark_unusable(machine, connection, account.id, error.reason, account.tokens)
    raise Reconnect(error.code, error.detail) from error


def refresh(machine: Machine, account: Account) -> Access:
    """Refresh an account's tokens, also before they expire, and return it with the new ones.

    Args:
        machine: for its store, clock and OAuth clients.
        account: with the tokens that are to be refreshed. If it has others by now, these are returned as they are.

    Raises:
        Reconnect: as for `get_access`.
        TryLater: as for `get_access`; also while another process refreshes them.
    """
    now = machine.now()
    with machine.store.writing(accounts=[account.id]) as connection:
        if not accounts.lock_refresh(connection, account.id, now=now, until=now + REFRESH_DEADLINE):
            detail = "the account's token is being refreshed"
            raise TryLater("refresh_under_way", detail, retry_after_s=2.0, cause="wait")
        present = accounts.get(connection, account.id)
        stale = present is not None and present.tokens == account.tokens
        if not stale:
            accounts.unlock_refresh(connection, account.id)
    return _request_refresh(machine, account) if stale else _access(machine, _checked(present))


def _request_refresh(machine: Machine, account: Account) -> Access:
    flow = registry.flow(account.variant, machine.hosts, PublishingOptions(tiktok_mode=machine.settings.tiktok_mode))
    used = _sealed_tokens(account)
    try:
        tokens = flow.refresh(oauth_client(machine, account.variant), decrypt(machine, account))
    except Reconnect as revoked:
        with machine.store.writing(accounts=[account.id]) as connection:
            mark_unusable(machine, connection, account.id, revoked.reason, used)
        raise
    except PlatformError:
        with machine.store.writing(accounts=[account.id]) as connection:
            accounts.unlock_refresh(connection, account.id)
        raise
    with machine.store.writing(accounts=[account.id]) as connection:  # committed before the new token is used
        accounts.set_tokens(
            connection,
            account.id,
            encrypt(machine, tokens),
            used=used,
            expires_at=tokens.expires_at,
            refresh_at=tokens.refresh_at,
            refresh_expires_at=tokens.refresh_expires_at,
        )
    return _access(machine, _load(machine, account.id))


def mark_unusable(
    machine: Machine,
    connection: Connection,
    account_id: str,
    reason: str,
    used: bytes | None,
    *,
    refused: bool = False,
) -> None:
    """Mark an account that cannot publish with its tokens, and emit an event once.

    Args:
        machine: for events.
        connection: inside `store.writing()`.
        account_id: of the account.
        reason: for its owner.
        used: the encrypted tokens that failed; an account that has others by now is not changed.
        refused: the platform does not let this account post, whatever its tokens.
    """
    status = AccountStatus.REFUSED if refused else AccountStatus.RECONNECT
    accounts.unlock_refresh(connection, account_id)
    if not accounts.mark_unusable(connection, account_id, status, reason, tokens=used):
        return
    account = accounts.get(connection, account_id)
    if account is None:
        return
    logger.warning("Account {} on {}: {} ({})", account_id, account.platform, status, reason)
    code = UNUSABLE_CODES[status]
    publication_queue.set_waiting_reason(connection, account_id, code=code, reason=reason)
    emit(machine,
        connection, "account.reconnect_needed", code=code, reason=reason, account_id=account_id,
        platform=account.platform, name=account.name,
    )  # fmt: skip


def _load(machine: Machine, account_id: str) -> Account:
    with machine.store.reading() as connection:
        return _checked(accounts.get(connection, account_id))


def _checked(account: Account | None) -> Account:
    if account is None or account.tokens is None or account.status is not AccountStatus.CONNECTED:
        raise Reconnect("not_connected", "the account is not connected")
    return account


def _sealed_tokens(account: Account) -> bytes:
    assert account.tokens is not None  # `_checked` guarantees it
    return account.tokens


def oauth_client(machine: Machine, variant: str) -> ClientCredentials:
    """Return the client id and secret for an account variant.

    Raises:
        OperatorNeeded: none is configured.
    """
    registered = machine.settings.oauth_clients.get(registry.LOGINS[variant].client_name)
    if registered is None:
        raise OperatorNeeded("no_client", f"this machine has no client id and secret for {variant}: set them")
    return ClientCredentials(registered.client_id, registered.client_secret.get_secret_value())


def encrypt(machine: Machine, tokens: Tokens) -> bytes:
    """Encrypt tokens for the store."""
    facts = {name: v.isoformat() if isinstance(v, datetime) else v for name, v in asdict(tokens).items()}
    return machine.sealer.seal(facts)


def decrypt(machine: Machine, account: Account) -> Tokens:
    """Decrypt an account's tokens.

    Raises:
        SealedWithOtherKey: they were encrypted with another SECRET_KEY.
    """
    try:
        facts: dict[str, Any] = machine.sealer.open(_sealed_tokens(account))  # Any: what `encrypt` wrote
    except WrongKey as wrong:
        raise SealedWithOtherKey(WRONG_KEY) from wrong
    moments = {
        n: datetime.fromisoformat(facts[n]) for n in ("expires_at", "refresh_expires_at", "refresh_at") if facts[n]
    }
    return Tokens(**(facts | moments))


def is_sealed_with_other_key(machine: Machine, account_id: str) -> bool:
    """Return whether the tokens of an account cannot be read with this SECRET_KEY."""
    with machine.store.reading() as connection:
        account = accounts.get(connection, account_id)
    return account is not None and account.tokens is not None and not machine.sealer.can_open(account.tokens)


def _access(machine: Machine, account: Account) -> Access:
    with_token = AuthorizedAccount(
        id=account.id,
        platform=account.platform,
        variant=account.variant,
        remote_id=account.remote_id,
        name=account.name,
        access_token=decrypt(machine, account).access_token,
    )
    return Access(with_token, _sealed_tokens(account))
