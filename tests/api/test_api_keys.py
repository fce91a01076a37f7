"""API keys by the API: shown once, named, revoked with their sessions; and the settings that are shown."""

from __future__ import annotations

import pytest
from falcon.testing import TestClient

from api.app import create_app
from api.context import Context
from settings import VERSION
from tests.api.conftest import AUTH, OWN_PAGE


@pytest.fixture
def open_client(context: Context) -> TestClient:
    return TestClient(create_app(context))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_is_shown_once_and_works_until_it_is_revoked(open_client: TestClient, context: Context) -> None:
    made = open_client.simulate_post("/keys", headers=AUTH, json={"name": "laptop"})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    mine = bearer(made.json["key"])
    listed = open_client.simulate_get("/keys", headers=mine)
    assert made.json["key"] not in listed.text
    [entry] = listed.json["keys"]
    assert (entry["name"], entry["is_own"], entry["sessions"], listed.json["unstored"]) == ("laptop", True, 0, 2)

    signed_in = open_client.simulate_post("/login", headers=OWN_PAGE, json={"key": made.json["key"]})
    session = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    [entry] = open_client.simulate_get("/keys", headers=session).json["keys"]
    assert (entry["is_own"], entry["sessions"]) == (True, 1)
    [entry] = open_client.simulate_get("/keys", headers=AUTH).json["keys"]
    assert entry["is_own"] is False

    assert open_client.simulate_delete(f"/keys/{made.json['id']}", headers=AUTH).status_code == 204
    assert open_client.simulate_get("/keys", headers=session).status_code == 401
    assert open_client.simulate_get("/keys", headers=AUTH).json["keys"] == []
    assert open_client.simulate_delete(f"/keys/{made.json['id']}", headers=AUTH).status_code == 404


def test_a_name_is_given_once_and_is_readable(open_client: TestClient) -> None:
    assert open_client.simulate_post("/keys", headers=AUTH, json={"name": "laptop"}).status_code == 201
    again = open_client.simulate_post("/keys", headers=AUTH, json={"name": "laptop"})
    assert (again.status_code, again.json["code"], again.json["field"]) == (409, "name_taken", "name")
    assert open_client.simulate_post("/keys", headers=AUTH, json={"name": "api.key"}).status_code == 409
    for name in ("", " ", "-x", "a" * 65, "a\nb", "<b>"):
        assert open_client.simulate_post("/keys", headers=AUTH, json={"name": name}).status_code == 422


def test_a_page_of_another_site_makes_no_key(open_client: TestClient, context: Context) -> None:
    made = open_client.simulate_post("/keys", headers=AUTH, json={"name": "laptop"}).json["key"]
    signed_in = open_client.simulate_post("/login", headers=OWN_PAGE, json={"key": made})
    session = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0], "Origin": "https://evil.example.com"}
    assert open_client.simulate_post("/keys", headers=session, json={"name": "other"}).status_code == 403


def test_the_settings_are_shown_without_secrets(open_client: TestClient, context: Context) -> None:
    shown = open_client.simulate_get("/settings", headers=AUTH)
    assert shown.json["version"] == VERSION
    [login] = shown.json["logins"]["tiktok"]
    assert login["redirect_uri"] == f"{context.settings.root_url}/connect/tiktok/callback"
    assert login["variables"] == ["TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"]
    for client in context.settings.oauth_clients.values():
        assert client.client_secret.get_secret_value() not in shown.text
