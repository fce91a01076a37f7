"""Tokens: exchanged once, written only over the ones that were used, and never against a person's decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from actors import wiring
from actors.flow import job_commands, tokens
from platforms import registry
from platforms.errors import OperatorNeeded, PlatformError, Reconnect, TryLater, Unclear
from platforms.oauth import ClientCredentials, Tokens
from store import Store, accounts
from store.states import AccountStatus
from tests.store.rows import account

ON_EVERY_ENGINE = True


class Login:
    """A login's server that does something of ours before it answers."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None, error: Exception | None = None) -> None:
        self.meanwhile, self.error = meanwhile, error
        self.used: list[str] = []

    def refresh(self, client: ClientCredentials, held: Tokens) -> Tokens:
        self.used.append(held.access_token)
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return Tokens("fresh", "refresh", expires_at=wiring.machine.now() + timedelta(hours=2))


@pytest.fixture
def login(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Login], Login]:
    """Return what installs a login's server; an account with a stale token is there."""
    monkeypatch.setattr(tokens, "oauth_client", lambda *_: ClientCredentials("id", "secret"))
    _connect(store, "stale")

    def install(made: Login) -> Login:
        monkeypatch.setattr(registry, "flow", lambda *_, **__: made)
        return made

    return install


def _connect(store: Store, access_token: str, *, good_for: timedelta = timedelta(0)) -> None:
    held = Tokens(
        access_token,
        "refresh",
        expires_at=wiring.machine.now() + good_for,
        refresh_at=wiring.machine.now() - timedelta(1),
    )
    with store.writing(scope="everything") as connection:
        made = replace(
            account(),
            tokens=tokens.encrypt(wiring.machine, held),
            expires_at=held.expires_at,
            refresh_at=held.refresh_at,
        )
        accounts.connect(connection, made)


def _account(store: Store) -> accounts.Account:
    with store.reading() as connection:
        found = accounts.get(connection, "tiktok-1")
    assert found is not None
    return found


def test_a_stale_token_is_exchanged_before_it_is_used(store: Store, login: Callable[[Login], Login]) -> None:
    login(Login())
    assert tokens.get_access(wiring.machine, "tiktok-1").account.access_token == "fresh"
    assert tokens.decrypt(wiring.machine, _account(store)).access_token == "fresh"


def test_who_judged_the_same_token_stale_does_not_exchange_the_new_one(
    store: Store, login: Callable[[Login], Login]
) -> None:
    server = login(Login())
    stale = _account(store)
    tokens.refresh(wiring.machine, stale)
    assert tokens.refresh(wiring.machine, stale).account.access_token == "fresh"
    assert server.used == ["stale"]


def test_only_one_exchanges_at_a_time(store: Store, login: Callable[[Login], Login]) -> None:
    def meanwhile() -> None:
        with pytest.raises(TryLater):
            tokens.get_access(wiring.machine, "tiktok-1")

    server = login(Login(meanwhile))
    tokens.get_access(wiring.machine, "tiktok-1")
    assert server.used == ["stale"]


def test_tokens_that_come_after_a_disconnection_are_not_kept(store: Store, login: Callable[[Login], Login]) -> None:
    login(Login(lambda: assert_true(job_commands.disconnect(wiring.machine, "tiktok-1"))))
    with pytest.raises(Reconnect):
        tokens.get_access(wiring.machine, "tiktok-1")
    assert (_account(store).status, _account(store).tokens) == (AccountStatus.DISCONNECTED, None)


def test_a_late_failure_does_not_spoil_a_fresh_connection(store: Store, login: Callable[[Login], Login]) -> None:
    reconnect = Login(lambda: _connect(store, "new"), Reconnect("grant_dead", "the old refresh token is dead"))
    login(reconnect)
    with pytest.raises(Reconnect):
        tokens.get_access(wiring.machine, "tiktok-1")
    assert (_account(store).status, tokens.decrypt(wiring.machine, _account(store)).access_token) == (
        AccountStatus.CONNECTED,
        "new",
    )


def test_a_login_that_is_down_does_not_stop_a_token_that_is_still_good(
    store: Store, login: Callable[[Login], Login]
) -> None:
    _connect(store, "good for days", good_for=timedelta(days=5))
    login(Login(error=TryLater("login_down", "down", retry_after_s=30)))
    assert tokens.get_access(wiring.machine, "tiktok-1").account.access_token == "good for days"


@pytest.mark.parametrize(
    "error",
    [
        OperatorNeeded("client_refused", "correct the client's secret"),
        TryLater("login_refused", "no table lists this", retry_after_s=600.0),
        Unclear("answer_lost", "HTTP 503", retry_after_s=2.0),
    ],
    ids=["operator", "unlisted", "lost"],
)
def test_a_passing_fault_of_a_login_disconnects_nothing(
    store: Store, login: Callable[[Login], Login], error: PlatformError
) -> None:
    """The token has expired just now."""
    login(Login(error=error))
    with pytest.raises((TryLater, OperatorNeeded)) as raised:
        tokens.get_access(wiring.machine, "tiktok-1")
    assert isinstance(raised.value, OperatorNeeded) == isinstance(error, OperatorNeeded)
    assert raised.value.cause == "wait"  # no post is to blame, so none loses a retry
    assert _account(store).status is AccountStatus.CONNECTED
    _connect(store, "good for days", good_for=timedelta(days=5))
    assert tokens.get_access(wiring.machine, "tiktok-1").account.access_token == "good for days"


@pytest.mark.parametrize(("hours", "status"), [(23, AccountStatus.CONNECTED), (25, AccountStatus.RECONNECT)])
def test_an_unlisted_refusal_that_lasts_a_day_disconnects(
    store: Store, login: Callable[[Login], Login], hours: int, status: AccountStatus
) -> None:
    _connect(store, "long expired", good_for=timedelta(hours=-hours))
    login(Login(error=TryLater("login_refused", "no table lists this", retry_after_s=600.0)))
    with pytest.raises(TryLater if status is AccountStatus.CONNECTED else Reconnect):
        tokens.get_access(wiring.machine, "tiktok-1")
    assert _account(store).status is status


def test_an_outage_of_the_login_never_disconnects(store: Store, login: Callable[[Login], Login]) -> None:
    _connect(store, "long expired", good_for=timedelta(days=-30))
    login(Login(error=TryLater("login_down", "HTTP 503", retry_after_s=30.0)))
    with pytest.raises(TryLater):
        tokens.get_access(wiring.machine, "tiktok-1")
    assert _account(store).status is AccountStatus.CONNECTED


def test_a_missing_registration_disconnects_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _connect(store, "stale")
    with pytest.raises(OperatorNeeded, match="no client id"):
        tokens.get_access(wiring.machine, "tiktok-1")
    assert _account(store).status is AccountStatus.CONNECTED


def test_a_dead_grant_is_told_once(store: Store, login: Callable[[Login], Login]) -> None:
    login(Login(error=Reconnect("grant_dead", "revoked")))
    for _ in range(2):
        with pytest.raises(Reconnect):
            tokens.get_access(wiring.machine, "tiktok-1")
    assert _account(store).status is AccountStatus.RECONNECT


def assert_true(well: bool) -> None:
    assert well
