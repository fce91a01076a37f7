"""Sessions of the web page: sign-in, cookies, sign-out, and attacks with copied or forged cookies."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from falcon.testing import TestClient

from actors.flow import retention
from api.app import create_app
from api.context import Context
from store import Store, api_keys, sessions
from tests.api import conftest
from tests.api.conftest import AUTH, KEY, OTHER_KEY, OWN_PAGE, with_settings
from tests.api.test_auth import add_key
from tests.support.clock import Clock
from tests.support.machine_database import machine_environment

COOKIE = "vidprod_session"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def anonymous(context: Context) -> TestClient:
    return TestClient(create_app(context))


def sign_in(client: TestClient, key: str = KEY, **headers: str) -> str:
    answer = client.simulate_post("/login", json={"key": key}, headers=headers)
    assert answer.status_code == 204
    return str(answer.cookies[COOKIE].value)


def status(client: TestClient, token: str) -> int:
    return client.simulate_get("/jobs", headers={"Cookie": f"{COOKIE}={token}"}).status_code


def count(context: Context) -> int:
    with context.store.reading() as connection:
        return sum(sessions.count_by_key(connection, context.now()).values())


def test_a_key_becomes_a_cookie_that_no_script_reads(anonymous: TestClient) -> None:
    cookie = anonymous.simulate_post("/login", json={"key": KEY}).cookies[COOKIE]

    assert (cookie.http_only, cookie.same_site, cookie.secure, cookie.path) == (True, "Lax", False, "/")
    assert KEY not in cookie.value
    assert status(anonymous, cookie.value) == 200


def test_with_https_the_cookie_is_bound_to_this_host(context: Context) -> None:
    """No other host of the domain can set or replace it, and no unencrypted page: browsers enforce the prefix."""
    client = TestClient(create_app(with_settings(context, public_url="https://video.example")))

    answer = client.simulate_post("/login", json={"key": KEY})

    [header] = [value for name, value in _headers(answer) if name == "set-cookie"]
    name, _, rest = header.partition("=")
    attributes = {part.strip().partition("=")[0].lower() for part in rest.split(";")[1:]}
    assert name == f"__Host-{COOKIE}"
    assert {"secure", "httponly", "samesite", "path"} <= attributes
    assert "domain" not in attributes
    assert "max-age" in answer.headers["strict-transport-security"]
    value = SimpleCookie(header)[name].value
    assert client.simulate_get("/jobs", headers={"Cookie": f"{name}={value}"}).status_code == 200
    # A cookie with the plain name may come from anywhere in the domain.
    assert client.simulate_get("/jobs", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401
    deleted = client.simulate_delete("/login", headers={"Cookie": f"{name}={value}", "Sec-Fetch-Site": "same-origin"})
    [header] = [value for given, value in _headers(deleted) if given == "set-cookie"]
    assert header.startswith(f"{name}=")
    assert {"Secure", "Path=/", "expires=Thu, 01 Jan 1970 00:00:00 GMT"} <= {part.strip() for part in header.split(";")}


def _headers(answer: object) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in answer.headers.items()]  # type: ignore[attr-defined]  # falcon's Result


def test_a_wrong_key_makes_no_session(anonymous: TestClient, context: Context) -> None:
    answer = anonymous.simulate_post("/login", json={"key": "wrong"})

    assert (answer.status_code, answer.cookies, count(context)) == (401, {}, 0)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"key": 1}', b'{"key": ""}', b'{"key": "a", "b": 1}'])
def test_a_broken_sign_in_is_a_clear_refusal(anonymous: TestClient, body: bytes) -> None:
    assert anonymous.simulate_post("/login", body=body).status_code in {400, 422}


def test_a_session_ends_in_time_and_is_then_deleted(anonymous: TestClient, context: Context, clock: Clock) -> None:
    session = sign_in(anonymous)
    clock.move(seconds=sessions.LIFETIME.total_seconds() - 1)
    assert status(anonymous, session) == 200

    clock.move(seconds=1)
    assert status(anonymous, session) == 401
    retention.clean_up(context)
    with context.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar() == 0


def test_a_copied_cookie_is_dead_after_signing_out_also_in_another_process(
    anonymous: TestClient, context: Context
) -> None:
    """The attack of many bug reports: copy the cookie, let its owner sign out, use the copy."""
    kept, copied = sign_in(anonymous), sign_in(anonymous)
    assert _opens_elsewhere(context, copied)

    headers = {"Cookie": f"{COOKIE}={copied}", **OWN_PAGE}
    answer = anonymous.simulate_delete("/login", headers=headers)

    assert (answer.status_code, answer.cookies[COOKIE].value) == (204, "")
    assert status(anonymous, copied) == 401
    assert status(anonymous, kept) == 200
    assert not _opens_elsewhere(context, copied)


def _opens_elsewhere(context: Context, token: str) -> bool:
    code = (
        "import sys; from datetime import datetime; from api.__main__ import context; c = context();"
        "c.keys._now = lambda: datetime.fromisoformat(sys.argv[2]);"
        "sys.exit(0 if c.keys.find_by_session('vidprod_session=' + sys.argv[1]) else 3)"
    )
    arguments = [sys.executable, "-c", code, token, context.now().isoformat()]
    environ = machine_environment() | {"API_KEYS": f"{KEY},{OTHER_KEY}"}
    found = subprocess.run(arguments, cwd=ROOT, env=environ, check=False, timeout=60)
    assert found.returncode in {0, 3}
    return found.returncode == 0


def test_signing_out_everywhere_ends_all_sessions_of_the_key(anonymous: TestClient) -> None:
    mine, phone, other = sign_in(anonymous), sign_in(anonymous), sign_in(anonymous, OTHER_KEY)

    headers = {"Cookie": f"{COOKIE}={mine}", **OWN_PAGE}
    assert anonymous.simulate_delete("/login", params={"everywhere": "true"}, headers=headers).status_code == 204

    assert [status(anonymous, token) for token in (mine, phone, other)] == [401, 401, 200]


def test_a_program_ends_the_sessions_of_its_key(anonymous: TestClient) -> None:
    session = sign_in(anonymous)
    assert anonymous.simulate_delete("/login?everywhere=true", headers=AUTH).status_code == 204
    assert status(anonymous, session) == 401
    assert anonymous.simulate_delete("/login?everywhere=true", headers={"Authorization": "Bearer x"}).status_code == 401


def test_signing_in_again_ends_the_session_before(anonymous: TestClient) -> None:
    first = sign_in(anonymous)
    second = sign_in(anonymous, Cookie=f"{COOKIE}={first}")
    assert [status(anonymous, token) for token in (first, second)] == [401, 200]


def test_the_number_of_sessions_of_a_key_is_bounded(
    anonymous: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_PER_KEY", 3)
    found = []
    for _ in range(5):
        clock.move(seconds=1)
        found.append(sign_in(anonymous))
    assert [status(anonymous, token) for token in found] == [401, 401, 200, 200, 200]


def test_taking_a_key_out_of_the_environment_ends_its_sessions(
    anonymous: TestClient, context: Context, clock: Clock
) -> None:
    session = sign_in(anonymous)
    fewer = replace(context, keys=conftest.api_keys(context, [OTHER_KEY]))

    assert status(TestClient(create_app(fewer)), session) == 401


def test_revoking_a_stored_key_ends_its_sessions_at_once(anonymous: TestClient, context: Context, clock: Clock) -> None:
    key, record = add_key(context)
    session = sign_in(anonymous, key)
    with context.store.writing(scope="everything") as connection:
        assert api_keys.revoke(connection, record.id, clock()) == 1

    assert status(anonymous, session) == 401


def test_a_key_that_is_revoked_while_somebody_signs_in_makes_no_session(
    anonymous: TestClient, context: Context, clock: Clock
) -> None:
    """The API process knows keys for a second; a session would outlive that second by a month."""
    key, record = add_key(context)
    sign_in(anonymous, key)
    with context.store.writing(scope="everything") as connection:
        api_keys.revoke(connection, record.id, clock())

    assert anonymous.simulate_post("/login", json={"key": key}).status_code == 401
    assert count(context) == 0


@pytest.mark.parametrize(
    "value", ["", "x", "x" * 43, "x" * 5000, "\xff" * 43, "'; DROP TABLE sessions; --", "%00" * 14 + "x"]
)
def test_a_forged_cookie_opens_nothing(anonymous: TestClient, context: Context, value: str) -> None:
    sign_in(anonymous)
    assert status(anonymous, value) == 401
    assert count(context) == 1


def test_a_sealed_session_of_earlier_versions_opens_nothing(anonymous: TestClient, context: Context) -> None:
    claims = {"use": "session", "key": "726c9309a1366721", "until": context.now().timestamp() + 1000}
    assert status(anonymous, context.sealer.seal(claims).decode()) == 401


def test_a_session_is_read_without_the_write_lock(
    anonymous: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that holds the lock must not stop the page. The same for wrong keys and logins of other browsers."""
    session = sign_in(anonymous)

    def refuse(_: Store) -> None:
        raise AssertionError("written")

    monkeypatch.setattr(Store, "writing", refuse)
    assert status(anonymous, session) == 200
    assert status(anonymous, "x" * 43) == 401
    assert anonymous.simulate_post("/login", json={"key": "wrong"}).status_code == 401
    assert anonymous.simulate_delete("/login", headers={"Cookie": f"{COOKIE}=x"}).status_code == 204
    assert anonymous.simulate_get("/connect/tiktok/callback?state=x&code=y").status_code == 400


def test_reading_has_no_effects(client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers send the session with a link on another site, so no GET may write."""
    paths = [
        *("/jobs", "/jobs/x", "/status/x", "/accounts", "/schedule", "/webhooks", "/webhooks/x/secret"),
        *("/webhooks/x/deliveries", "/dead-letters", "/health", "/metrics", "/openapi.json", "/", "/connect/tiktok"),
        *("/connect/tiktok/begin?ticket=x", "/connect/tiktok/callback?state=x", "/jobs/x/segments/1/video", "/media/x"),
    ]
    written = []
    monkeypatch.setattr(Store, "writing", lambda _: written.append(1))
    for path in paths:
        assert client.simulate_get(path).status_code < 500 or path == "/health", path
    assert written == []


@pytest.mark.parametrize("path", ["/jobs", "/accounts", "/webhooks", "/status/x", "/login", "/media/x", "/nowhere"])
def test_answers_that_may_have_secrets_are_not_stored(client: TestClient, path: str) -> None:
    value = client.simulate_get(path).headers["cache-control"]
    assert value in {"no-store", "private, no-cache"}


def test_a_webhook_secret_is_not_stored_by_anybody(client: TestClient) -> None:
    made = client.simulate_post("/webhooks", json={"url": "http://127.0.0.1:9/vidprod"})
    assert made.status_code == 201
    address = f"/webhooks/{made.json['id']}"
    answers = [made, client.simulate_get(f"{address}/secret"), client.simulate_post(f"{address}/rotate", json={})]
    assert [answer.headers["cache-control"] for answer in answers] == ["no-store"] * 3
