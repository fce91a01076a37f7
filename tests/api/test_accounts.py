"""Connecting accounts, against the mock platforms over real HTTP."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from falcon.testing import Result, TestClient
from pydantic import SecretStr

from api.app import create_app
from api.context import Context
from platforms.mock.roots import mock_hosts
from settings import OAuthClient
from store import accounts, schedules
from tests.api.conftest import AUTH, connect
from tests.store import rows
from tests.support.clock import Clock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("mock")
    with subprocess.Popen(
        [sys.executable, "-m", "platforms.mock", "--port", "0", "--directory", str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def login_client(context: Context, mock: str) -> TestClient:
    registered = OAuthClient(client_id="mock", client_secret=SecretStr("mock"))
    clients = {"tiktok": registered, "facebook": registered, "google": registered}
    chosen = context.settings.model_copy(update={"oauth_clients": clients})
    changed = replace(context, settings=chosen, hosts=mock_hosts(mock))
    return TestClient(create_app(changed), headers=AUTH)


def at_the_platform(begun: Result) -> dict[str, str]:
    """Do what the browser does: go to the platform and bring back what it says."""
    assert begun.status_code == 303
    back = requests.get(begun.headers["location"], allow_redirects=False, timeout=30)
    assert back.is_redirect, back.text
    return {name: values[0] for name, values in parse_qs(urlsplit(back.headers["Location"]).query).items()}


@pytest.mark.parametrize("platform", ["tiktok", "instagram", "youtube"])
def test_an_account_is_connected_by_going_there_and_back(
    login_client: TestClient, context: Context, platform: str
) -> None:
    said = at_the_platform(login_client.simulate_get(f"/connect/{platform}"))

    # The browser comes back from another site: without the key, and with no cookie of ours.
    back = TestClient(login_client.app).simulate_get(f"/connect/{platform}/callback", params=said)

    assert (back.status_code, back.headers["location"]) == (303, "/")
    found = login_client.simulate_get("/accounts").json["accounts"]
    assert {(one["platform"], one["status"]) for one in found} == {(platform, "connected")}
    assert all(one["name"] for one in found)
    with context.store.reading() as connection:
        [*stored] = accounts.list_all(connection)
    assert all(one.tokens for one in stored)
    assert "token" not in login_client.simulate_get("/accounts").text


def test_connecting_again_keeps_the_account(login_client: TestClient) -> None:
    for _ in range(2):
        said = at_the_platform(login_client.simulate_get("/connect/tiktok"))
        assert login_client.simulate_get("/connect/tiktok/callback", params=said).status_code == 303

    assert len(login_client.simulate_get("/accounts").json["accounts"]) == 1


def test_a_state_works_once_and_only_for_its_platform(login_client: TestClient) -> None:
    said = at_the_platform(login_client.simulate_get("/connect/tiktok"))

    assert login_client.simulate_get("/connect/youtube/callback", params=said).status_code == 400
    assert login_client.simulate_get("/connect/tiktok/callback", params=said).json["code"] == "connect_unknown"


def test_a_state_of_nobody_is_refused(login_client: TestClient) -> None:
    for params in ({}, {"state": "x", "code": "y"}, {"code": "y"}):
        assert login_client.simulate_get("/connect/tiktok/callback", params=params).status_code == 400


def test_who_takes_too_long_begins_again(login_client: TestClient, clock: Clock) -> None:
    said = at_the_platform(login_client.simulate_get("/connect/tiktok"))
    clock.move(minutes=31)

    assert login_client.simulate_get("/connect/tiktok/callback", params=said).status_code == 400


def test_a_person_who_says_no_has_no_account(login_client: TestClient) -> None:
    said = at_the_platform(login_client.simulate_get("/connect/tiktok"))
    refused = {"state": said["state"], "error": "access_denied"}

    assert login_client.simulate_get("/connect/tiktok/callback", params=refused).json["code"] == "connect_refused"
    assert login_client.simulate_get("/accounts").json["accounts"] == []


def test_a_code_of_nobody_is_refused_with_the_platforms_reason(login_client: TestClient) -> None:
    said = at_the_platform(login_client.simulate_get("/connect/tiktok")) | {"code": "forged"}

    answer = login_client.simulate_get("/connect/tiktok/callback", params=said)

    assert (answer.status_code, answer.json["code"]) == (422, "connect_failed")


def test_a_platform_without_our_registration_is_named(client: TestClient) -> None:
    answer = client.simulate_get("/connect/tiktok")

    assert (answer.status_code, answer.json["code"]) == (409, "no_client")
    assert client.simulate_get("/connect/myspace").status_code == 404
    assert client.simulate_get("/connect/instagram", params={"variant": "google"}).status_code == 400


def test_a_disconnected_account_is_gone_with_its_tokens(login_client: TestClient, context: Context) -> None:
    said = at_the_platform(login_client.simulate_get("/connect/tiktok"))
    login_client.simulate_get("/connect/tiktok/callback", params=said)
    [known] = login_client.simulate_get("/accounts").json["accounts"]

    assert login_client.simulate_delete(f"/accounts/{known['id']}").status_code == 204

    assert login_client.simulate_get("/accounts").json["accounts"] == []
    with context.store.reading() as connection:
        kept = accounts.get(connection, known["id"])
    assert kept is not None
    assert kept.tokens is None
    assert login_client.simulate_delete(f"/accounts/{known['id']}").status_code == 404


def test_the_pages_learn_how_large_a_video_may_be(client: TestClient, context: Context) -> None:
    assert client.simulate_get("/accounts").json == {
        "accounts": [],
        "outages": {},
        "max_upload_bytes": context.settings.max_upload_size,
    }


def test_a_schedule_is_changed_for_some_platforms_and_kept_for_the_others(client: TestClient, context: Context) -> None:
    connect(context, "tiktok")
    before = client.simulate_get("/schedule").json
    change = {"tiktok": {"time_zone": "Europe/Berlin", "windows": [["22:00", "02:00"]], "max_per_day": 2}}

    after = client.simulate_put("/schedule", json=change).json

    assert after == before | {"tiktok": before["tiktok"] | change["tiktok"]}
    assert client.simulate_get("/schedule").json == after
    with context.store.reading() as connection:
        assert [one.platform for one in schedules.list_all(connection)] == ["tiktok"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"myspace": {}}, "myspace"),
        ({"tiktok": {"time_zone": "Mars/Base"}}, "tiktok.time_zone"),
        ({"tiktok": {"time_zone": "../../etc/passwd"}}, "tiktok.time_zone"),
        ({"tiktok": {"windows": [["8:00", "22:00"]]}}, "tiktok.windows.0.0"),
        ({"tiktok": {"windows": [["08:00", "24:00"]]}}, "tiktok.windows.0.1"),
        ({"tiktok": {"windows": [["08:00"]]}}, "tiktok.windows.0.1"),
        ({"tiktok": {"windows": [["08:00", "09:00"], ["10:00", "10:00"]]}}, "tiktok.windows.1"),
        ({"tiktok": {"max_per_day": 0}}, "tiktok.max_per_day"),
        ({"tiktok": {"min_gap_s": -1}}, "tiktok.min_gap_s"),
        ({"tiktok": {"speed": 1}}, "tiktok.speed"),
    ],
)
def test_a_wrong_schedule_is_named(client: TestClient, body: dict[str, object], field: str) -> None:
    answer = client.simulate_put("/schedule", json=body)

    assert (answer.status_code, answer.json["field"]) == (422, field)


def test_a_window_without_length_is_refused_with_what_to_do_instead(client: TestClient) -> None:
    answer = client.simulate_put("/schedule", json={"tiktok": {"windows": [["10:00", "10:00"]]}})

    assert answer.json["detail"].endswith("must not end when it starts; an empty list of windows allows all times")


def test_a_connected_account_shows_why_it_waits(client: TestClient, context: Context) -> None:
    with context.store.writing() as connection:
        accounts.connect(connection, rows.account())
        accounts.pause(connection, "tiktok-1", rows.NOON, "the platform asked for a pause")

    [shown] = client.simulate_get("/accounts").json["accounts"]

    assert shown["reason"] == "the platform asked for a pause"
    assert shown["paused_until"] == "2026-11-22T12:00:00.000Z"
