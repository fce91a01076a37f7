"""The four logins against the mock, which checks what the real servers check."""

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
from platforms.errors import OperatorNeeded, PlatformError, Reconnect, TryLater, Unclear
from platforms.http import client as http_client
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
    """Return the code, the verifier and the query of the authorization request."""
    request = registry.flow(variant, mock.hosts).authorize_url(CLIENT, REDIRECT_URI, "state-1")
    response = http_client.request("GET", request.url)
    query = parse_qs(urlsplit(response.headers["Location"]).query)
    assert query["state"] == ["state-1"]
    return query["code"][0], request.verifier, parse_qs(urlsplit(request.url).query)


@every_login
def test_a_login_returns_an_account_with_tokens(variant: str, mock: MockServer) -> None:
    """The login returns its id, its name and the expiry of its tokens."""
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
    """A repeated callback gets no tokens."""
    code, verifier, _ = consent(variant, mock)
    flow = registry.flow(variant, mock.hosts)
    flow.exchange(CLIENT, REDIRECT_URI, code, verifier)

    with pytest.raises(Reconnect):
        flow.exchange(CLIENT, REDIRECT_URI, code, verifier)


@every_login
def test_a_code_is_valid_for_its_address_and_its_client_only(variant: str, mock: MockServer) -> None:
    """A wrong secret is refused, too: only the operator can correct that."""
    flow = registry.flow(variant, mock.hosts)
    for client, redirect_uri in [
        (CLIENT, "http://127.0.0.1:8000/elsewhere"),
        (ClientCredentials("another", "secret"), REDIRECT_URI),
        (ClientCredentials(CLIENT.id, "wrong"), REDIRECT_URI),
    ]:
        code, verifier, _ = consent(variant, mock)
        with pytest.raises((Reconnect, OperatorNeeded)):
            flow.exchange(client, redirect_uri, code, verifier)


def test_tiktoks_challenge_is_hexadecimal_and_its_scopes_are_joined_by_commas(mock: MockServer) -> None:
    """TikTok refuses the base64 challenges of RFC 7636."""
    _, verifier, request = consent("tiktok", mock)
    assert verifier is not None
    assert request["code_challenge"] == [hashlib.sha256(verifier.encode()).hexdigest()]
    assert request["client_key"] == [CLIENT.id]
    assert request["scope"] == ["user.info.basic,video.upload"]
    assert 43 <= len(verifier) <= 128


def test_a_public_redirect_of_tiktok_needs_no_pkce(mock: MockServer) -> None:
    """PKCE is documented for desktop apps only, whose redirects are loopback addresses."""
    flow = registry.flow("tiktok", mock.hosts, PublishingOptions(tiktok_mode="direct"))
    request = flow.authorize_url(CLIENT, "https://vidprod.example/connect/tiktok/callback", "s")
    assert request.verifier is None
    assert "code_challenge" not in request.url
    assert "video.publish%2Cvideo.list" in request.url


@pytest.mark.parametrize("variant", ["tiktok", "google"])
def test_a_wrong_verifier_is_refused(variant: str, mock: MockServer) -> None:
    """A stolen code is useless without the verifier."""
    code, _, _ = consent(variant, mock)
    with pytest.raises(Reconnect):
        registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, "x" * 50)


def test_a_refresh_at_tiktok_invalidates_the_old_refresh_token(mock: MockServer) -> None:
    """So the new one must be stored before it is used."""
    flow = registry.flow("tiktok", mock.hosts)
    first = connect("tiktok", mock.hosts).tokens
    second = flow.refresh(CLIENT, first)

    assert first.refresh_token != second.refresh_token
    with pytest.raises(Reconnect) as caught:
        flow.refresh(CLIENT, first)
    assert caught.value.code == "grant_dead"
    flow.refresh(CLIENT, second)


def test_a_lost_response_to_tiktoks_refresh_is_unclear(mock: MockServer) -> None:
    """The old token may be invalid and the new one lost; one more try shows it."""
    flow = registry.flow("tiktok", mock.hosts)
    tokens = connect("tiktok", mock.hosts).tokens
    mock.fault(TOKEN["tiktok"], "lose")

    with pytest.raises(Unclear):
        flow.refresh(CLIENT, tokens)
    with pytest.raises(Reconnect):
        flow.refresh(CLIENT, tokens)


def test_a_refresh_at_google_keeps_the_refresh_token(mock: MockServer) -> None:
    """Google does not rotate the token and does not send it again."""
    flow = registry.flow("google", mock.hosts)
    first = connect("google", mock.hosts).tokens
    second = flow.refresh(CLIENT, first)

    assert first.refresh_token == second.refresh_token
    assert first.access_token != second.access_token
    assert set(first.scope.split()) == set(second.scope.split())


def test_instagram_refreshes_a_token_that_is_a_day_old(tmp_path: Path, mock: MockServer) -> None:
    """Younger tokens are refused, so the refresh is planned after a week."""
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


def test_instagrams_token_response_may_be_flat_or_a_list(mock: MockServer) -> None:
    """The documentation shows a list; live responses are often flat."""
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


def test_a_personal_instagram_account_is_refused(mock: MockServer) -> None:
    """The error comes at the login, not at the first post."""
    code, _, _ = consent("instagram_login", mock)
    personal = {"user_id": "1", "username": "me", "account_type": "PERSONAL"}
    mock.fault("GET /instagram-graph/.*/me", "answer", status=200, body=personal)
    with pytest.raises(Reconnect) as caught:
        registry.flow("instagram_login", mock.hosts).exchange(CLIENT, REDIRECT_URI, code + "#_", None)
    assert caught.value.code == "account_personal"


def test_facebook_without_a_linked_account_is_refused(mock: MockServer) -> None:
    """Pages without an Instagram account or without the right to publish do not count."""
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
    """The first account comes first, the rest are `others`."""
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
    """Users may grant fewer permissions than requested."""
    request = registry.flow(variant, mock.hosts).authorize_url(CLIENT, REDIRECT_URI, "s")
    less = request.url.replace("%2Cvideo.upload", "").replace(
        "+https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fyoutube.readonly", ""
    )
    assert less != request.url
    code = parse_qs(urlsplit(http_client.request("GET", less).headers["Location"]).query)["code"][0]

    with pytest.raises(Reconnect) as caught:
        registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, request.verifier)
    assert caught.value.code == "scope_missing"


@pytest.mark.parametrize("variant", ["tiktok", "google"])
def test_a_revoked_token_is_invalid(variant: str, mock: MockServer) -> None:
    """The platform is told when the user disconnects."""
    flow = registry.flow(variant, mock.hosts)
    tokens = connect(variant, mock.hosts).tokens
    flow.revoke(CLIENT, tokens)
    with pytest.raises(PlatformError):
        flow.revoke(CLIENT, tokens)


@every_login
def test_a_login_that_is_down_means_later(variant: str, mock: MockServer) -> None:
    """No connection, a 5xx and an unreadable response mean TryLater or Unclear."""
    code, verifier, _ = consent(variant, mock)
    with pytest.raises(TryLater):
        registry.flow(variant, mock_hosts("http://127.0.0.1:1")).exchange(CLIENT, REDIRECT_URI, code, verifier)
    mock.fault(TOKEN[variant], "answer", status=503, body=None)
    with pytest.raises((TryLater, Unclear)):
        registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, verifier)
    registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, verifier)


@pytest.mark.parametrize("variant", ["tiktok", "google"])
def test_an_invalid_refresh_token_means_reconnect(variant: str, mock: MockServer) -> None:
    """Only a new login helps."""
    tokens = dataclasses.replace(connect(variant, mock.hosts).tokens, refresh_token="dead")
    with pytest.raises(Reconnect) as caught:
        registry.flow(variant, mock.hosts).refresh(CLIENT, tokens)
    assert (caught.value.code, caught.value.refreshable) == ("grant_dead", False)


@every_login
def test_no_token_is_shown(variant: str, mock: MockServer, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a repr, not in a log at DEBUG, not in an error."""
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
    """Half an hour before the end, or at three quarters of a shorter lifetime."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert refresh_moment(now, 7200) == now + timedelta(seconds=5400)
    assert refresh_moment(now, 86_400) == now + timedelta(seconds=84_600)
    assert refresh_moment(now, 60) == now + timedelta(seconds=45)


def test_a_facebook_pages_token_cannot_be_refreshed(mock: MockServer) -> None:
    """It does not expire; if it becomes invalid, only a new login helps."""
    with pytest.raises(Reconnect):
        registry.flow("facebook_login", mock.hosts).refresh(CLIENT, Tokens("t"))
