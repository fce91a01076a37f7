"""The receivers of notices: browsers subscribe, are listed without secrets, are deleted, and get a test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from falcon.testing import TestClient
from pydantic import SecretStr

from api.app import create_app
from api.context import Context
from store import Sealer, api_keys, notices, push_subscriptions, sessions
from store.notices import Notice, NoticeDelivery
from store.owners import DEFAULT_OWNER
from store.states import NoticeKind
from tests.actors.queues import waiting
from tests.api.conftest import AUTH, KEY, OTHER_KEY, with_settings
from tests.api.conftest import api_keys as make_keys
from tests.api.test_auth import add_key
from tests.support.clock import Clock
from tests.support.push_service import PushService, TestBrowser, push_service


@pytest.fixture
def service() -> Iterator[PushService]:
    with push_service() as made:
        yield made


def _public_key(client: TestClient) -> str:
    return str(client.simulate_get("/notices").json["public_key"])


def _subscribe(client: TestClient, browser: TestBrowser, **changes: Any) -> Any:  # Any: JSON, and Falcon's result
    body = {**browser.subscription, "public_key": _public_key(client), **changes}
    return client.simulate_post("/notices/subscriptions", json=body, headers={"User-Agent": "Firefox on a phone"})


def test_the_key_for_web_push_is_made_once(client: TestClient, context: Context) -> None:
    first = _public_key(client)
    assert first == _public_key(TestClient(create_app(context), headers=AUTH))
    assert len(first) == 87  # 65 bytes in base64url


def test_a_browser_is_listed_without_its_secrets(client: TestClient, service: PushService) -> None:
    browser = service.browser()
    made = _subscribe(client, browser)
    assert made.status_code == 201
    [listed] = client.simulate_get("/notices").json["subscriptions"]
    assert listed == made.json
    assert (listed["state"], listed["push_service"], listed["user_agent"]) == (
        "enabled", "127.0.0.1", "Firefox on a phone",
    )  # fmt: skip
    text = client.simulate_get("/notices").text
    for secret in (browser.endpoint, *browser.subscription["keys"].values()):
        assert secret not in text


def test_the_page_can_compute_the_id(client: TestClient, service: PushService) -> None:
    browser = service.browser()
    assert _subscribe(client, browser).json["id"] == f"sub_{hashlib.sha256(browser.endpoint.encode()).hexdigest()[:32]}"


def test_a_known_browser_is_enabled_and_not_doubled(client: TestClient, context: Context, service: PushService) -> None:
    browser = service.browser()
    made = _subscribe(client, browser).json
    with context.store.writing(scope="everything") as connection:
        push_subscriptions.record_failure(connection, made["id"], "HTTP 403")
        push_subscriptions.disable(connection, made["id"], context.now())
    assert client.simulate_get("/notices").json["subscriptions"][0]["state"] == "disabled"
    again = _subscribe(client, browser)
    assert (again.status_code, again.json) == (200, made)
    assert len(client.simulate_get("/notices").json["subscriptions"]) == 1


def test_a_browser_with_another_key_is_refused(client: TestClient, service: PushService) -> None:
    """Every push service would refuse our messages to it."""
    refused = _subscribe(client, service.browser(), public_key="B" * 87)
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (409, "other_key", "public_key")


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": ""},
        {"endpoint": "https://127.0.0.1/x"},
        {"endpoint": "https://localhost/x"},
        {"endpoint": "http://push.example.net/x"},
        {"endpoint": "https://push.example.net:22/x"},
        {"endpoint": f"https://push.example.net/{'x' * 2048}"},
        {"endpoint": "javascript:alert(1)"},
        {"keys": {"p256dh": "x", "auth": "AAAAAAAAAAAAAAAAAAAAAA"}},
        {"keys": {"p256dh": "B" * 87, "auth": "AAAAAAAAAAAAAAAAAAAAAA"}},
        {"keys": {}},
        {"keys": None},
        {"more": 1},
        {"public_key": None},
    ],
)
def test_what_cannot_be_a_subscription_is_refused(
    context: Context, service: PushService, changes: dict[str, Any]
) -> None:
    client = TestClient(create_app(with_settings(context, webhook_allow_private=False)), headers=AUTH)
    assert _subscribe(client, service.browser(), **changes).status_code == 422
    assert client.simulate_get("/notices").json["subscriptions"] == []


def test_our_own_address_is_refused(context: Context, service: PushService) -> None:
    """Else each notice would call the API."""
    client = TestClient(create_app(with_settings(context, public_url="http://127.0.0.1:8000")), headers=AUTH)
    refused = _subscribe(client, service.browser())
    assert (refused.status_code, refused.json["reason"]) == (422, "own_address")


def test_a_browser_unsubscribes(client: TestClient, service: PushService) -> None:
    made = _subscribe(client, service.browser()).json
    assert client.simulate_delete(f"/notices/subscriptions/{made['id']}").status_code == 204
    assert client.simulate_delete(f"/notices/subscriptions/{made['id']}").status_code == 404
    assert client.simulate_get("/notices").json["subscriptions"] == []


def test_too_many_browsers_replace_the_one_that_was_not_reached_for_longest(
    client: TestClient, context: Context, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_subscriptions, "MAX_SUBSCRIPTIONS", 2)
    first, second, third = (service.browser() for _ in range(3))
    made = [_subscribe(client, browser).json["id"] for browser in (first, second)]
    with context.store.writing(scope="everything") as connection:
        push_subscriptions.record_success(connection, made[0], context.now().replace(year=2027))
    made.append(_subscribe(client, third).json["id"])
    listed = {one["id"] for one in client.simulate_get("/notices").json["subscriptions"]}
    assert listed == {made[0], made[2]}


def test_a_test_goes_to_all_receivers(client: TestClient, service: PushService) -> None:
    assert client.simulate_post("/notices/test").json["code"] == "no_receivers"
    _subscribe(client, service.browser())
    sent = client.simulate_post("/notices/test")
    assert (sent.status_code, sent.json) == (202, {"receivers": 1})
    assert client.simulate_post("/notices/test").status_code == 202
    assert [name for name, _ in waiting()] == ["send_notice"]  # the two are one


def test_the_addresses_of_the_settings_are_listed_by_service(context: Context) -> None:
    url = "mailto://mara:s3cret-password@mail.example.org"
    changed = with_settings(context, notice_urls=(SecretStr(url),))
    client = TestClient(create_app(changed), headers=AUTH)
    nothing = {"service": "mailto", "last_status": None, "last_at": None, "last_error": None}
    assert client.simulate_get("/notices").json["urls"] == [nothing]
    with context.store.writing(scope="everything") as connection:
        now = context.now()
        notices.add(
            connection,
            Notice(id="n", owner_id=DEFAULT_OWNER, subject="test", kind=NoticeKind.TEST, created_at=now, due_at=now),
        )
        target = f"url_{context.sealer.keyed_hash(url)[:32]}"
        notices.add_delivery(connection, NoticeDelivery(id="d", notice_id="n", target=target))
        notices.end_delivery(connection, "d", error="HTTP 535", now=now)
    [listed] = client.simulate_get("/notices").json["urls"]
    assert (listed["last_status"], listed["last_error"]) == ("failed", "HTTP 535")
    assert "s3cret" not in client.simulate_get("/notices").text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/notices"),
        ("POST", "/notices/subscriptions"),
        ("DELETE", "/notices/subscriptions/sub_1"),
        ("POST", "/notices/test"),
    ],
)
def test_a_key_is_needed(context: Context, method: str, path: str) -> None:
    assert TestClient(create_app(context)).simulate_request(method, path).status_code == 401


def test_another_secret_key_gives_another_public_key_and_the_right_one_gives_it_back(
    client: TestClient, context: Context
) -> None:
    first = _public_key(client)
    other = replace(context, sealer=Sealer("another key, with sixteen characters"))
    assert _public_key(TestClient(create_app(other), headers=AUTH)) != first
    assert _public_key(client) == first


def _targets(context: Context) -> list[str]:
    with context.store.reading() as connection:
        return push_subscriptions.enabled_ids(connection, DEFAULT_OWNER)


def _subscribe_with(context: Context, key: str, browser: TestBrowser) -> None:
    client = TestClient(create_app(context), headers={"Authorization": f"Bearer {key}"})
    assert _subscribe(client, browser).status_code == 201


@pytest.mark.parametrize("end", ["revoked", "signed out"])
def test_the_end_of_a_keys_sessions_ends_the_notices_of_its_browsers(
    context: Context, service: PushService, clock: Clock, end: str
) -> None:
    """A notice names videos and accounts; whoever has a lost phone must not read them on its lock screen."""
    key, record = add_key(context, "lost phone")
    _subscribe_with(context, key, service.browser())
    clock.move(seconds=1)
    _subscribe_with(context, KEY, service.browser())
    before = _targets(context)
    with context.store.writing(scope="everything") as connection:
        if end == "revoked":
            api_keys.revoke(connection, record.id, context.now())
        else:
            sessions.end_all(connection, record.id)
    assert _targets(context) == before[1:]


def test_signing_out_on_all_devices_ends_their_notices(context: Context, service: PushService, clock: Clock) -> None:
    _subscribe_with(context, KEY, service.browser())
    clock.move(seconds=1)
    _subscribe_with(context, OTHER_KEY, service.browser())
    before = _targets(context)
    client = TestClient(create_app(context), headers=AUTH)
    assert client.simulate_delete("/login", params={"everywhere": "true"}).status_code == 204
    assert _targets(context) == before[1:]


def test_a_browser_that_signs_in_with_another_key_is_that_keys(context: Context, service: PushService) -> None:
    browser = service.browser()
    _subscribe_with(context, KEY, browser)
    client = TestClient(create_app(context), headers={"Authorization": f"Bearer {OTHER_KEY}"})
    assert _subscribe(client, browser).status_code == 200
    TestClient(create_app(context), headers=AUTH).simulate_delete("/login", params={"everywhere": "true"})
    assert len(_targets(context)) == 1


def test_a_key_that_is_revoked_during_the_request_adds_no_browser(
    context: Context, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, record = add_key(context, "lost phone")
    client = TestClient(create_app(context), headers={"Authorization": f"Bearer {key}"})
    public_key = _public_key(client)
    authenticate = context.keys.authenticate

    def revoke_then(*arguments: Any) -> Any:  # Any: as `authenticate`
        known = authenticate(*arguments)
        with context.store.writing(scope="everything") as connection:
            api_keys.revoke(connection, record.id, context.now())
        return known

    monkeypatch.setattr(context.keys, "authenticate", revoke_then)
    assert _subscribe(client, service.browser(), public_key=public_key).status_code == 401
    assert _targets(context) == []


def test_a_key_that_leaves_the_environment_ends_its_browsers_notices(
    context: Context, service: PushService, clock: Clock
) -> None:
    _subscribe_with(context, KEY, service.browser())
    clock.move(seconds=1)
    _subscribe_with(context, OTHER_KEY, service.browser())
    before = _targets(context)
    make_keys(context, (OTHER_KEY,)).end_lost_subscriptions()
    assert _targets(context) == before[1:]
