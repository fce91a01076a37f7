"""Faults of token endpoints: only the grant's end, in the platform's own words, disconnects an account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from platforms import registry
from platforms.errors import OperatorNeeded, PlatformError, Reconnect, TryLater
from platforms.mock.connect import CLIENT, REDIRECT_URI
from platforms.oauth import Tokens
from tests.platforms.mock_server import MockServer
from tests.platforms.test_oauth import TOKEN, consent

REFRESH = {
    "tiktok": TOKEN["tiktok"],
    "instagram_login": "GET /instagram-graph/refresh_access_token",
    "google": TOKEN["google"],
}


def graph(code: int, subcode: int = 0, *, transient: bool = False) -> dict[str, object]:
    error = {"message": "m", "type": "OAuthException", "code": code, "error_subcode": subcode, "fbtrace_id": "trace"}
    return {"error": {**error, "is_transient": transient}}


def rfc(code: str) -> dict[str, object]:
    return {"error": code, "error_description": "m", "log_id": "trace"}


PASSING: list[tuple[str, int, object]] = [
    *(
        (variant, status, body)
        for variant in REFRESH
        for status, body in [
            (500, None),
            (502, "<html>"),
            (503, rfc("temporarily_unavailable")),
            (500, rfc("server_error")),
            (500, rfc("invalid_grant")),
            (500, graph(190, 463)),
            (429, rfc("slow_down")),
            (429, "<html>"),
            (408, None),
            (409, None),
            (425, None),
            (200, "<html>"),
            (200, {}),
            (204, None),
            (302, None),
        ]
    ),
    ("google", 500, rfc("internal_failure")),
    ("google", 400, rfc("internal_failure")),
    ("google", 429, rfc("rate_limit_exceeded")),
    ("google", 500, {"error": {"code": 500, "status": "INTERNAL"}}),
    ("tiktok", 500, rfc("internal_error")),
    ("tiktok", 200, rfc("internal_error")),
    ("tiktok", 429, rfc("rate_limit_exceeded")),
    ("tiktok", 200, rfc("rate_limit_exceeded")),
    *(("instagram_login", 400, graph(code)) for code in (1, 2, 4, 17, 32, 613, 80002)),
    ("instagram_login", 400, graph(100, transient=True)),
    ("instagram_login", 403, graph(4, transient=True)),
]
UNLISTED: list[tuple[str, int, object]] = [
    *(
        (variant, status, body)
        for variant in REFRESH
        for status, body in [
            (400, rfc("something_new")),
            (400, rfc("invalid_request")),
            (401, "<html>"),
            (403, "<html>captcha"),
            (404, None),
            (418, None),
            (451, "<html>"),
        ]
    ),
    ("instagram_login", 400, graph(99999)),
    ("instagram_login", 400, graph(200)),
    ("instagram_login", 400, graph(10)),
    ("google", 403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}}),
]
REGISTRATION: list[tuple[str, int, object]] = [
    ("tiktok", 400, rfc("invalid_client")),
    ("tiktok", 200, rfc("invalid_client")),
    ("google", 401, rfc("invalid_client")),
    ("google", 401, rfc("unauthorized_client")),
    ("google", 400, rfc("redirect_uri_mismatch")),
    ("instagram_login", 400, graph(101)),
    ("instagram_login", 400, graph(100, 36008)),
]
DEAD: list[tuple[str, int, object]] = [
    ("tiktok", 400, rfc("invalid_grant")),
    ("tiktok", 200, rfc("invalid_grant")),
    ("google", 400, rfc("invalid_grant")),
    *(("instagram_login", 400, graph(190, subcode)) for subcode in (0, 458, 459, 460, 463, 464, 467)),
    ("instagram_login", 401, graph(190)),
    ("instagram_login", 400, graph(102)),
]


def _refusal_of_refresh(variant: str, status: int, body: object, mock: MockServer) -> PlatformError:
    now = datetime.now(UTC)
    tokens = Tokens("access", "refresh", now + timedelta(minutes=20), None, "s", now - timedelta(seconds=1))
    mock.fault(REFRESH[variant], "answer", status=status, body=body, headers={"Retry-After": "77"})
    with pytest.raises(PlatformError) as caught:
        registry.flow(variant, mock.hosts).refresh(CLIENT, tokens)
    return caught.value


@pytest.mark.parametrize(("variant", "status", "body"), PASSING)
def test_a_passing_fault_keeps_the_tokens(variant: str, status: int, body: object, mock: MockServer) -> None:
    """A server in trouble is in no state to judge a grant; Retry-After is obeyed."""
    error = _refusal_of_refresh(variant, status, body, mock)

    assert (TryLater, "login_down", "platform") == (type(error), error.code, getattr(error, "cause", None))
    assert getattr(error, "retry_after_s", 0) == 77.0


@pytest.mark.parametrize(("variant", "status", "body"), UNLISTED)
def test_a_refusal_that_no_table_lists_is_tried_again(
    variant: str, status: int, body: object, mock: MockServer
) -> None:
    """The caller decides, by the age of the access token, when the owner has to connect the account again."""
    error = _refusal_of_refresh(variant, status, body, mock)

    assert (TryLater, "login_refused", "platform") == (type(error), error.code, getattr(error, "cause", None))


@pytest.mark.parametrize(("variant", "status", "body"), REGISTRATION)
def test_a_fault_of_our_registration_is_for_the_operator(
    variant: str, status: int, body: object, mock: MockServer
) -> None:
    """Another login of the account's owner would be refused just the same."""
    error = _refusal_of_refresh(variant, status, body, mock)

    assert (OperatorNeeded, "login_misconfigured") == (type(error), error.code)
    assert "client id" in error.detail


@pytest.mark.parametrize(("variant", "status", "body"), DEAD)
def test_an_invalid_grant_means_reconnect(variant: str, status: int, body: object, mock: MockServer) -> None:
    """Only the account's owner can grant it again."""
    error = _refusal_of_refresh(variant, status, body, mock)

    assert (Reconnect, "grant_dead") == (type(error), error.code)


@pytest.mark.parametrize("variant", ["tiktok", "instagram_login", "facebook_login", "google"])
@pytest.mark.parametrize(("status", "kind"), [(400, Reconnect), (403, Reconnect), (503, TryLater), (200, TryLater)])
def test_at_the_exchange_of_a_code_an_unknown_refusal_ends_the_login(
    variant: str, status: int, kind: type[PlatformError], mock: MockServer
) -> None:
    """Its owner is there and begins it anew; a server that is down is told apart."""
    code, verifier, _ = consent(variant, mock)
    mock.fault(TOKEN[variant], "answer", status=status, body="<html>")

    with pytest.raises(kind):
        registry.flow(variant, mock.hosts).exchange(CLIENT, REDIRECT_URI, code, verifier)


def test_a_name_that_cannot_be_read_does_not_cost_the_login_its_code(mock: MockServer) -> None:
    """TikTok's codes work once; the account is shown by its id until its name can be read."""
    code, verifier, _ = consent("tiktok", mock)
    mock.fault("GET .*/v2/user/info", "answer", status=503)

    login = registry.flow("tiktok", mock.hosts).exchange(CLIENT, REDIRECT_URI, code, verifier)

    assert login.name == login.remote_id
