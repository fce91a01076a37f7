"""Accounts, schedules and what the page learns of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from falcon.testing import TestClient

from actors.flow.upload_windows import next_opening
from api.context import Context
from store import accounts, schedules
from store.owners import DEFAULT_OWNER
from tests.api.conftest import connect
from tests.store import rows


def test_the_pages_learn_how_large_a_video_may_be(client: TestClient, context: Context) -> None:
    assert client.simulate_get("/accounts").json == {
        "accounts": [],
        "next": None,
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
        assert list(schedules.of_owners(connection)) == [(DEFAULT_OWNER, "tiktok")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"myspace": {}}, "myspace"),
        ({"tiktok": {"time_zone": "Mars/Base"}}, "tiktok.time_zone"),
        ({"tiktok": {"time_zone": "../../etc/passwd"}}, "tiktok.time_zone"),
        ({"tiktok": {"windows": [["8:00", "22:00"]]}}, "tiktok.windows.0.0"),
        ({"tiktok": {"windows": [["08:00", "24:30"]]}}, "tiktok.windows.0.1"),
        ({"tiktok": {"windows": [["24:00", "08:00"]]}}, "tiktok.windows.0.0"),
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

    assert answer.json["detail"].endswith(
        "must not end when it starts; the whole day is 00:00 to 24:00, or an empty list"
    )


def test_a_window_ends_at_midnight_or_lasts_the_whole_day(client: TestClient, context: Context) -> None:
    """Midnight is stored as 00:00, which earlier versions read, too; what they stored without length is shown."""
    windows = [["00:00", "24:00"], ["18:00", "24:00"]]
    answer = client.simulate_put("/schedule", json={"tiktok": {"windows": windows}})
    assert answer.json["tiktok"]["windows"] == [["00:00", "24:00"], ["18:00", "00:00"]]
    again = client.simulate_put("/schedule", json={"tiktok": {"windows": answer.json["tiktok"]["windows"]}})
    assert again.json["tiktok"]["windows"] == answer.json["tiktok"]["windows"]

    with context.store.writing(scope="everything") as connection:
        [stored] = schedules.of_owners(connection).values()
        assert stored.windows == [["00:00", "00:00"], ["18:00", "00:00"]]
        schedules.put(connection, DEFAULT_OWNER, replace(stored, windows=[["18:00", "18:00"]]))
        [stored] = schedules.of_owners(connection).values()
    assert client.simulate_get("/schedule").json["tiktok"]["windows"] == [["00:00", "24:00"]]
    for hour in (3, 18, 23):
        assert next_opening(stored, rows.NOON.replace(hour=hour)) == rows.NOON.replace(hour=hour)


def test_a_connected_account_shows_why_it_waits(client: TestClient, context: Context) -> None:
    connect(context, "tiktok")
    with context.store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", rows.NOON, "the platform asked for a pause")

    [shown] = client.simulate_get("/accounts").json["accounts"]

    assert shown["reason"] == "the platform asked for a pause"
    assert shown["paused_until"] == "2026-11-22T12:00:00.000Z"
