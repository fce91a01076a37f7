"""The four logins, there and back, against servers that check what the real ones check."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from platforms import registry
from platforms.definition import PublishingOptions
from platforms.errors import PlatformError, Reconnect, TryLater, Unclear
from platforms.http import client as wire
from platforms.mock.connect import CLIENT, REDIRECT_URI, connect
from platforms.mock.roots import mock_hosts
from platforms.oauth import ClientCredentials, Tokens, refresh_moment
from tests.platforms.mock_server import MockServer

VARIANTS = ["tiktok", "instagram_login", "facebook_login", "google"]
every_login = pytest.mark.parametrize("variant", VARIANTS)
TOKEN = {
    "tiktok": "POST /tiktok-api/v2/oauth/token",
    "instagram_login": "POST /instagram-token",
    "facebook_login": "GET /facebook-graph/.*/oauth/access_token",
    "google": "POST /google-token/token",
}


def consent(variant: str, mock: MockServer) -> tuple[str, str | None, dict[str, list[str]]]:
    """Return the code, the verifier, and what we asked for."""
    asked = registry.flow(variant, mock.hosts).authorize_url(CLIENT, REDIRECT_URI, "state-1")
    reply = wire.request("GET", asked.url)
    told = parse_qs(urlsplit(reply.headers["Location"]).query)
    assert told["state"] == ["state-1"]
    return told["code"][0], asked.verifier, parse_qs(urlsplit(asked.url).query)


@every_login
def test_a_login_brings_an_account_that_can_be_used(variant: str, mock: MockServer) -> None:
    """Whose it is, what it is called, until when."""
    connection = connect(variant, mock.hosts)

    platform = next(name for name, platform in registry.PLATFORMS.items() if variant in platform.variants)
    expected = {"tiktok": "mock-open-id-1", "instagram": "17841400000000001", "youtube": "UCmockchannel00000000001"}
    assert connection.remote_id == expected[platform]
    assert connection.variant == variant
    assert connection.name
    now = datetime.now(UTC)
    tokens = connection.tokens
    assert tokens.expires_at is None or now < tokens.expires_at
    assert (tokens.expires_at is None) == (variant == "facebook_login")
    assert tokens.refresh_at is None or (tokens.expires_at is not None and now < tokens.refresh_at < tokens.expires_at)


@every_login
def test_a_code_works_once(variant: str, mock: MockServer) -> None:
    """A replayed callback gets nothing."""
    code, verifier, _ = consent(variant, mock)
    flow = registry.flow(variant, mock.hosts)
    flow.exchange(CLIENT, REDIRECT_URI, code, verifier)

    with pytest.raises(Reconnect):
        flow.exchange(CLIENT, REDIRECT_URI, code, verifier)


@every_login
def test_a_code_is_good_for_its_address_and_its_client_only(variant: str, mock: MockServer) -> None:
    """And a wrong secret is no client at all."""
    flow = registry.flow(variant, mock.hosts)
    for client, redirect_uri in [
        (CLIENT, "http://127.0.0.1:8000/elsewhere"),
        (ClientCredentials("another", "secret"), REDIRECT_URI),
        (ClientCredentials(CLIENT.id, "wrong"), REDIRECT_URI),
    ]:
        code, verifier, _ = consent(variant, mock)
        with pytest.raises(Reconnect):
            flow.exchange(client, redirect_uri, code, verifier)


def test_tiktoks_challenge_is_hexadecimal_and_its_scopes_are_joined_by_commas(mock: MockServer) -> None:
    """RFC 7636's base64 is refused by TikTok."""
    _, verifier, asked = consent("tiktok", mock)
    assert verifier is not None
    assert asked["code_challenge"] == [hashlib.sha256(verifier.encode()).hexdigest()]
    assert asked["client_key"] == [CLIENT.id]
    assert asked["scope"] == ["user.info.basic,video.upload"]
    assert 43 <= len(verifier) <= 128


def test_a_public_redirect_of_tiktok_needs_no_pkce(mock: MockServer) -> None:
    """Documented for desktop apps only, whose redirects are loopback addresses."""
    flow = registry.flow("tiktok", mock.hosts, PublishingOptions(tiktok_mode="direct"))
    asked = flow.authorize_url(CLIENT, "https://vidprod.example/connect/tiktok/callback", "s")
    assert asked.verifier is None
    assert "code_challenge" not in asked.url
    assert "video.publish%2Cvideo.list" in asked.url


@pytest.mark.parametrize("variant", ["tiktok", "google"])
def test_a_wrong_verifier_gets_nothing(variant: str, mock: MockServer) -> None:
    """Whoever stole the code does not have it."""
    code, _, _ = consent(variant, mock)
    with pytest.raises(Reconnect):
        registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, "x" * 50)


def test_a_refresh_at_tiktok_kills_the_old_refresh_token(mock: MockServer) -> None:
    """The reason why the new one is stored before anything else."""
    flow = registry.flow("tiktok", mock.hosts)
    first = connect("tiktok", mock.hosts).tokens
    second = flow.refresh(CLIENT, first)

    assert first.refresh_token != second.refresh_token
    with pytest.raises(Reconnect) as caught:
        flow.refresh(CLIENT, first)
    assert caught.value.code == "grant_dead"
    flow.refresh(CLIENT, second)


def test_a_lost_answer_to_tiktoks_refresh_is_unclear(mock: MockServer) -> None:
    """The old token may be dead, and the new one unknown: one more try tells."""
    flow = registry.flow("tiktok", mock.hosts)
    tokens = connect("tiktok", mock.hosts).tokens
    mock.fault(TOKEN["tiktok"], "lose")

    with pytest.raises(Unclear):
        flow.refresh(CLIENT, tokens)
    with pytest.raises(Reconnect):
        flow.refresh(CLIENT, tokens)


def test_a_refresh_at_google_keeps_the_refresh_token(mock: MockServer) -> None:
    """Google does not rotate it, and does not send it again."""
    flow = registry.flow("google", mock.hosts)
    first = connect("google", mock.hosts).tokens
    second = flow.refresh(CLIENT, first)

    assert first.refresh_token == second.refresh_token
    assert first.access_token != second.access_token
    assert set(first.scope.split()) == set(second.scope.split())


def test_instagram_refreshes_a_token_that_is_a_day_old(tmp_path: Path, mock: MockServer) -> None:
    """Younger ones are refused, so the plan is a week."""
    flow = registry.flow("instagram_login", mock.hosts)
    tokens = connect("instagram_login", mock.hosts).tokens
    assert tokens.refresh_token is None
    assert tokens.refresh_at is not None
    assert timedelta(days=6) < tokens.refresh_at - datetime.now(UTC) < timedelta(days=8)

    with pytest.raises(PlatformError):
        flow.refresh(CLIENT, tokens)
    answer = {"access_token": "fresh", "token_type": "bearer", "expires_in": 5_183_944}
    mock.fault("GET /instagram-graph/refresh_access_token", "answer", status=200, body=answer)
    assert flow.refresh(CLIENT, tokens).access_token == "fresh"


def test_instagrams_answer_is_taken_flat_and_wrapped(mock: MockServer) -> None:
    """Documented in a list, often sent without."""
    code, _, _ = consent("instagram_login", mock)
    flow = registry.flow("instagram_login", mock.hosts)
    mock.fault(
        TOKEN["instagram_login"],
        "answer",
        status=200,
        body={"access_token": "short", "user_id": 1, "permissions": ["instagram_business_basic"]},
    )
    with pytest.raises(Reconnect) as caught:  # read, and found to lack a permission
        flow.exchange(CLIENT, REDIRECT_URI, code, None)
    assert caught.value.code == "scope_missing"


def test_a_personal_instagram_account_is_told_that_it_cannot_publish(mock: MockServer) -> None:
    """Better at the connection than at the first post."""
    code, _, _ = consent("instagram_login", mock)
    personal = {"user_id": "1", "username": "me", "account_type": "PERSONAL"}
    mock.fault("GET /instagram-graph/.*/me", "answer", status=200, body=personal)
    with pytest.raises(Reconnect) as caught:
        registry.flow("instagram_login", mock.hosts).exchange(CLIENT, REDIRECT_URI, code + "#_", None)
    assert caught.value.code == "account_personal"


def test_facebook_without_a_linked_account_says_so(mock: MockServer) -> None:
    """Pages without Instagram, or without the right to publish, do not count."""
    code, _, _ = consent("facebook_login", mock)
    linked = {"id": "9", "username": "x"}
    pages = [
        {"id": "1", "name": "no instagram", "access_token": "t", "tasks": ["CREATE_CONTENT"]},
        {"id": "2", "access_token": "t", "tasks": ["ANALYZE"], "instagram_business_account": linked},
    ]
    mock.fault("GET .*/me/accounts", "answer", status=200, body={"data": pages})
    with pytest.raises(Reconnect) as caught:
        registry.flow("facebook_login", mock.hosts).exchange(CLIENT, REDIRECT_URI, code, None)
    assert caught.value.code == "no_account"


def test_several_linked_pages_come_together(mock: MockServer) -> None:
    """The first leads; the person may choose among them."""
    code, _, _ = consent("facebook_login", mock)
    pages = [
        {"id": n, "access_token": f"t{n}", "tasks": ["CREATE_CONTENT"], "instagram_business_account": {"id": f"ig{n}"}}
        for n in ("1", "2")
    ]
    mock.fault("GET .*/me/accounts", "answer", status=200, body={"data": pages})
    connection = registry.flow("facebook_login", mock.hosts).exchange(CLIENT, REDIRECT_URI, code, None)
    assert [connection.remote_id, *[other.remote_id for other in connection.others]] == ["ig1", "ig2"]


@pytest.mark.parametrize("variant", ["tiktok", "google"])
def test_a_permission_that_was_unticked_is_noticed_at_once(variant: str, mock: MockServer) -> None:
    """People may grant less than was asked for."""
    asked = registry.flow(variant, mock.hosts).authorize_url(CLIENT, REDIRECT_URI, "s")
    less = asked.url.replace("%2Cvideo.upload", "").replace(
        "+https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fyoutube.readonly", ""
    )
    assert less != asked.url
    code = parse_qs(urlsplit(wire.request("GET", less).headers["Location"]).query)["code"][0]

    with pytest.raises(Reconnect) as caught:
        registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, asked.verifier)
    assert caught.value.code == "scope_missing"


@pytest.mark.parametrize("variant", ["tiktok", "google"])
def test_a_revoked_permission_is_gone(variant: str, mock: MockServer) -> None:
    """The person disconnects; the platform is told."""
    flow = registry.flow(variant, mock.hosts)
    tokens = connect(variant, mock.hosts).tokens
    flow.revoke(CLIENT, tokens)
    with pytest.raises(PlatformError):
        flow.revoke(CLIENT, tokens)


@every_login
def test_a_login_that_is_down_means_later(variant: str, mock: MockServer) -> None:
    """No connection, 5xx, an answer that nobody can read."""
    code, verifier, _ = consent(variant, mock)
    with pytest.raises(TryLater):
        registry.flow(variant, mock_hosts("http://127.0.0.1:1")).exchange(CLIENT, REDIRECT_URI, code, verifier)
    mock.fault(TOKEN[variant], "answer", status=503, body=None)
    with pytest.raises((TryLater, Unclear)):
        registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, verifier)
    registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, verifier)


@pytest.mark.parametrize("variant", ["tiktok", "google"])
def test_a_dead_refresh_token_means_reconnect(variant: str, mock: MockServer) -> None:
    """Only the person can help."""
    tokens = dataclasses.replace(connect(variant, mock.hosts).tokens, refresh_token="dead")
    with pytest.raises(Reconnect) as caught:
        registry.flow(variant, mock.hosts).refresh(CLIENT, tokens)
    assert (caught.value.code, caught.value.refreshable) == ("grant_dead", False)


@every_login
def test_no_token_shows_itself(variant: str, mock: MockServer, caplog: pytest.LogCaptureFixture) -> None:
    """In a print, in a log at its loudest, in an error."""
    caplog.set_level(logging.DEBUG)
    flow = registry.flow(variant, mock.hosts)
    code, verifier, _ = consent(variant, mock)
    connection = flow.exchange(CLIENT, REDIRECT_URI, code, verifier)
    tokens = connection.tokens
    mock.fault(TOKEN[variant], "answer", status=200, body={"access_token": "secret-in-odd-shape", "expires_in": "x"})
    with pytest.raises(PlatformError) as caught:
        flow.exchange(CLIENT, REDIRECT_URI, code, verifier)

    seen = f"{connection!r} {CLIENT!r} {caplog.text} {caught.value!r} {caught.value}"
    for secret in (tokens.access_token, tokens.refresh_token, CLIENT.secret, code, "secret-in-odd-shape"):
        assert secret is None or secret not in seen


def test_tokens_are_refreshed_well_before_their_end() -> None:
    """Half an hour before, or at three quarters of a shorter life."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert refresh_moment(now, 7200) == now + timedelta(seconds=5400)
    assert refresh_moment(now, 86_400) == now + timedelta(seconds=84_600)
    assert refresh_moment(now, 60) == now + timedelta(seconds=45)


def test_a_facebook_pages_token_cannot_be_refreshed(mock: MockServer) -> None:
    """It does not expire; when it dies, only the person can help."""
    with pytest.raises(Reconnect):
        registry.flow("facebook_login", mock.hosts).refresh(CLIENT, Tokens("t"))
