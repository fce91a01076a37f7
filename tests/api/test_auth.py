"""Keys and sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from falcon.testing import TestClient

from api.app import create_app
from api.context import Context
from api.http.auth import COOKIE, SESSION_LIFETIME, ApiKeys
from tests.api.conftest import AUTH, KEY, with_settings
from tests.support.clock import Clock

PUBLIC = {"/", "/health", "/openapi.json", "/static/app.js"}


@pytest.fixture
def anonymous(context: Context) -> TestClient:
    return TestClient(create_app(context))


def sign_in(client: TestClient, key: str = KEY) -> str:
    answer = client.simulate_post("/login", json={"key": key})
    assert answer.status_code == 204
    return str(answer.cookies[COOKIE].value)


@pytest.mark.parametrize(
    "path", ["/jobs", "/status/x", "/accounts", "/schedule", "/webhooks", "/dead-letters", "/metrics"]
)
def test_an_anonymous_client_is_asked_for_a_key(anonymous: TestClient, path: str) -> None:
    answer = anonymous.simulate_get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_some_routes_are_public(anonymous: TestClient, path: str) -> None:
    assert anonymous.simulate_get(path).status_code in {200, 503}


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer ", "Bearer", KEY, f"Basic {KEY}", "Bearer caf\xe9", f"Bearer {KEY}x"]
)
def test_a_wrong_key_is_wrong(anonymous: TestClient, header: str) -> None:
    assert anonymous.simulate_get("/jobs", headers={"Authorization": header}).status_code == 401


def test_every_key_opens(anonymous: TestClient) -> None:
    for key in (KEY, "another-key-of-24-chars"):
        assert anonymous.simulate_get("/jobs", headers={"Authorization": f"bearer {key}"}).status_code == 200


def test_a_key_becomes_a_cookie_that_no_script_reads(anonymous: TestClient) -> None:
    cookie = anonymous.simulate_post("/login", json={"key": KEY}).cookies[COOKIE]

    assert (cookie.http_only, cookie.same_site, cookie.secure, cookie.path) == (True, "Lax", False, "/")
    assert KEY not in cookie.value
    assert anonymous.simulate_get("/jobs", cookies={COOKIE: cookie.value}).status_code == 200


def test_behind_https_the_cookie_stays_there(context: Context) -> None:
    client = TestClient(create_app(with_settings(context, public_url="https://video.example")))

    answer = client.simulate_post("/login", json={"key": KEY})

    assert answer.cookies[COOKIE].secure
    assert "max-age" in answer.headers["strict-transport-security"]


def test_a_wrong_key_makes_no_session(anonymous: TestClient) -> None:
    answer = anonymous.simulate_post("/login", json={"key": "wrong"})

    assert (answer.status_code, answer.cookies) == (401, {})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"key": 1}', b'{"key": ""}', b'{"key": "a", "b": 1}'])
def test_a_broken_sign_in_is_a_clear_refusal(anonymous: TestClient, body: bytes) -> None:
    assert anonymous.simulate_post("/login", body=body).status_code in {400, 422}


def test_guessing_keys_is_slow(anonymous: TestClient, clock: Clock) -> None:
    found = [anonymous.simulate_post("/login", json={"key": "wrong"}).status_code for _ in range(11)]
    assert found == [401] * 10 + [429]

    clock.move(minutes=1, seconds=1)
    assert anonymous.simulate_post("/login", json={"key": KEY}).status_code == 204


def test_a_session_ends_in_time(anonymous: TestClient, clock: Clock) -> None:
    session = sign_in(anonymous)

    clock.move(seconds=SESSION_LIFETIME.total_seconds() + 1)

    assert anonymous.simulate_get("/jobs", cookies={COOKIE: session}).status_code == 401


def test_taking_a_key_away_ends_its_sessions(anonymous: TestClient, context: Context, clock: Clock) -> None:
    session = sign_in(anonymous)
    fewer = replace(context, keys=ApiKeys(["another-key-of-24-chars"], sealer=context.sealer, now=clock))

    assert TestClient(create_app(fewer)).simulate_get("/jobs", cookies={COOKIE: session}).status_code == 401


def test_only_what_was_sealed_as_a_session_is_one(anonymous: TestClient, context: Context) -> None:
    for value in ({"use": "media", "job": "x", "number": 1, "until": 9e9}, "session", 7, None):
        sealed = context.sealer.seal(value).decode()
        assert anonymous.simulate_get("/jobs", cookies={COOKIE: sealed}).status_code == 401
    assert anonymous.simulate_get("/jobs", cookies={COOKIE: "nonsense"}).status_code == 401


def test_another_sites_page_can_change_nothing(anonymous: TestClient) -> None:
    session = {COOKIE: sign_in(anonymous)}
    foreign = {"Sec-Fetch-Site": "cross-site"}

    assert anonymous.simulate_post("/jobs/x/cancel", cookies=session, headers=foreign).status_code == 403
    assert anonymous.simulate_post("/jobs/x/cancel", headers=foreign | AUTH).status_code == 404


def test_signing_out_takes_the_cookie_away(anonymous: TestClient) -> None:
    cookie = anonymous.simulate_delete("/login").cookies[COOKIE]

    assert cookie.value == ""
    assert cookie.expires is not None
    assert cookie.expires <= datetime.now(UTC)
