"""GET /calendar: what was published at its time, what waits at its expected time, what has no time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from falcon.testing import TestClient
from sqlalchemy import update

from api.context import Context
from api.resources import calendar, waiting_words
from store import accounts, calendar_rows, jobs, platform_states, publications, schedules, segments, tables
from store.owners import DEFAULT_OWNER
from store.platform_states import PlatformState
from store.schedules import Schedule
from store.states import AccountStatus, JobStatus, PublicationStatus, ReviewReason, SegmentStatus, WaitsFor
from tests.store import query_cost, rows
from tests.support.clock import Clock

HOURLY = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=10, min_gap_s=3_600.0)


def _add(context: Context, name: str, parts: int, *, account_id: str = "tiktok-1", **changes: Any) -> None:
    """Add a job whose parts are ready, and wait on one account; an hour lies between two posts."""
    owner = rows.account(account_id)
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, owner)
        jobs.create(connection, replace(rows.job(name, status=JobStatus.PUBLISHING, parts=parts), **changes))
        made = [rows.segment(number, job_id=name, status=SegmentStatus.READY) for number in range(1, parts + 1)]
        segments.create(connection, made)
        publications.create(connection, [rows.publication(part, owner) for part in made])
        schedules.put(connection, DEFAULT_OWNER, HOURLY)


def _publish(context: Context, publication_id: str, began_at: datetime) -> None:
    with context.store.writing(scope="everything") as connection:
        change = update(tables.publications).where(tables.publications.c.id == publication_id)
        connection.execute(change.values(status="published", started_at=began_at, link="https://x.example/1"))


def _get(client: TestClient, **params: str) -> dict[str, Any]:
    answer = client.simulate_get("/calendar", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def _by_day(found: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return the times and ids of the days that have any."""
    return {
        day["date"]: [(entry["at"][:16], entry["publication_id"]) for entry in day["entries"]]
        for day in found["days"]
        if day["entries"]
    }


def test_published_and_expected_posts_are_on_the_days_of_the_zone(
    client: TestClient, context: Context, clock: Clock
) -> None:
    _add(context, "old", 1)
    _publish(context, "old-1-tiktok-1", clock() - timedelta(days=1))
    _add(context, "job", 14)

    found = _get(client, **{"from": "2026-11-21", "to": "2026-11-24", "zone": "Europe/Berlin"})

    assert [day["date"] for day in found["days"]] == ["2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"]
    by_day = _by_day(found)
    assert by_day["2026-11-21"] == [("2026-11-21T12:00", "old-1-tiktok-1")]
    # In UTC ten are expected on the 22nd; in Berlin that day ends an hour earlier.
    assert len(by_day["2026-11-22"]) == 10
    assert by_day["2026-11-22"][-1] == ("2026-11-22T21:00", "job-10-tiktok-1")
    assert by_day["2026-11-23"][0] == ("2026-11-23T00:00", "job-11-tiktok-1")
    assert found["undated"] == []
    assert not found["truncated"]
    in_tokyo = _by_day(_get(client, **{"from": "2026-11-22", "to": "2026-11-23", "zone": "Asia/Tokyo"}))
    assert [len(entries) for entries in in_tokyo.values()] == [3, 11]
    assert in_tokyo["2026-11-23"][0] == ("2026-11-22T15:00", "job-4-tiktok-1")


def test_an_entry_has_what_a_page_shows(client: TestClient, context: Context, clock: Clock) -> None:
    _add(context, "job", 2)
    _publish(context, "job-1-tiktok-1", clock() - timedelta(minutes=5))
    client.simulate_put("/accounts/tiktok-1/schedule", json={"time_zone": "America/New_York"})
    [first, second] = _get(client)["days"][0]["entries"]
    shared = {
        "job_id": "job", "title": "A talk", "of": 2, "platform": "tiktok", "account_id": "tiktok-1",
        "account": "@tiktok-1", "account_zone": "America/New_York",
    }  # fmt: skip
    assert first == shared | {
        "publication_id": "job-1-tiktok-1", "part": 1, "at": "2026-11-22T11:55:00.000Z", "status": "published",
        "waits_for": None, "reason": None, "link": "https://x.example/1",
    }  # fmt: skip
    assert second == shared | {
        "publication_id": "job-2-tiktok-1", "part": 2, "at": "2026-11-22T12:55:00.000Z", "status": "waiting",
        "waits_for": "gap", "reason": "The schedule leaves a pause after the post before it", "link": None,
    }  # fmt: skip


def test_what_nobody_can_know_is_undated_with_its_reason(client: TestClient, context: Context) -> None:
    _add(context, "unapproved", 1, review_reasons=[ReviewReason.REQUESTED])
    _add(context, "stopped", 1, account_id="tiktok-2")
    with context.store.writing(scope="everything") as connection:
        reason = "the login has expired"
        accounts.mark_unusable(connection, "tiktok-2", AccountStatus.RECONNECT, reason, tokens=b"sealed")
    found = _get(client)
    assert _by_day(found) == {}
    assert [(one["job_id"], one["at"], one["waits_for"], one["reason"]) for one in found["undated"]] == [
        ("unapproved", None, "approval", "It waits for your approval"),
        ("stopped", None, "account", "the login has expired"),
    ]


def test_an_outage_is_named_by_its_own_words(client: TestClient, context: Context, clock: Clock) -> None:
    _add(context, "job", 1)
    until = clock() + timedelta(hours=1)
    with context.store.writing(scope="everything") as connection:
        out = PlatformState(platform="tiktok", failures_in_a_row=3, paused_until=until, reason="TikTok answers 503")
        platform_states.put(connection, out)
    [entry] = _get(client)["days"][0]["entries"]
    assert (entry["waits_for"], entry["reason"]) == ("platform_outage", "TikTok answers 503")


def test_posts_of_a_disconnected_account_stay(client: TestClient, context: Context, clock: Clock) -> None:
    _add(context, "job", 2)
    _publish(context, "job-1-tiktok-1", clock())
    assert client.simulate_delete("/accounts/tiktok-1").status_code == 204
    found = _get(client)
    [entry] = found["days"][0]["entries"]
    assert (entry["publication_id"], entry["account"], entry["account_zone"]) == ("job-1-tiktok-1", "@tiktok-1", None)
    assert found["undated"] == []


def test_a_day_on_which_clocks_change_has_its_own_length(client: TestClient, context: Context, clock: Clock) -> None:
    """25 hours in Berlin on 25 October: the posts at both of its ends are on it, those a second away are not."""
    _add(context, "job", 4)
    ends = ("2026-10-24T21:59:59", "2026-10-24T22:00:00", "2026-10-25T22:59:59", "2026-10-25T23:00:00")
    for number, text in enumerate(ends, start=1):
        _publish(context, f"job-{number}-tiktok-1", datetime.fromisoformat(f"{text}+00:00"))
    del clock
    found = _get(client, **{"from": "2026-10-25", "to": "2026-10-25", "zone": "Europe/Berlin"})
    assert [name for _, name in _by_day(found)["2026-10-25"]] == ["job-2-tiktok-1", "job-3-tiktok-1"]


def test_too_many_entries_are_cut_and_it_is_said(
    client: TestClient, context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add(context, "job", 8)
    _add(context, "held", 8, account_id="tiktok-2", review_reasons=[ReviewReason.REQUESTED])
    for number in (1, 2):
        _publish(context, f"job-{number}-tiktok-1", clock() - timedelta(minutes=number))
    for maximum, expected in ((16, (8, 8, False)), (12, (8, 4, True)), (5, (5, 0, True)), (1, (1, 0, True))):
        monkeypatch.setattr(calendar, "MAX_ENTRIES", maximum)
        found = _get(client)
        dated = sum(len(day["entries"]) for day in found["days"])
        assert (dated, len(found["undated"]), found["truncated"]) == expected


def test_an_unchanged_calendar_is_not_sent_again(client: TestClient, context: Context) -> None:
    """A page asks each minute; a month of many posts is a megabyte."""
    _add(context, "job", 2)
    first = client.simulate_get("/calendar")
    again = client.simulate_get("/calendar", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.simulate_put("/schedule", json={"tiktok": {"min_gap_s": 60}}).status_code == 200
    changed = client.simulate_get("/calendar", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2026-11-32", "bad_date"),
        ("from=20261122", "bad_date"),
        ("from=2026-W47-1", "bad_date"),
        ("to=yesterday", "bad_date"),
        ("from=0001-01-01&to=0001-01-02", "bad_date"),
        ("from=9999-12-31", "bad_date"),
        ("from=2026-11-22&to=2026-11-21", "bad_period"),
        ("from=2026-11-22&to=2027-01-23", "bad_period"),
        ("zone=Mars/Base", "bad_zone"),
        ("zone=../../etc/passwd", "bad_zone"),
        ("zone=Europe", "bad_zone"),
        ("zone=%00", "bad_zone"),
    ],
)
def test_other_queries_are_refused(client: TestClient, query: str, code: str) -> None:
    answer = client.simulate_get("/calendar", query_string=query)
    assert (answer.status_code, answer.json["code"]) == (400, code)


@pytest.mark.parametrize("zone", ["Asia/Calcutta", "Asia/Saigon", "US/Pacific", "Etc/GMT+7", "America/Nuuk", "UTC"])
def test_zones_are_known_by_the_names_that_browsers_use(client: TestClient, zone: str) -> None:
    """Some are old names, which systems leave out; the package `tzdata` has them."""
    assert _get(client, zone=zone)["zone"] == zone
    answer = client.simulate_put("/schedule", json={"tiktok": {"time_zone": zone}})
    assert (answer.status_code, answer.json["tiktok"]["time_zone"]) == (200, zone)


def test_a_calendar_has_at_most_62_days_and_begins_today_by_default(client: TestClient) -> None:
    assert len(_get(client, **{"from": "2026-11-22", "to": "2027-01-22"})["days"]) == 62
    found = _get(client, zone="Pacific/Kiritimati")
    assert (found["from"], found["to"], found["zone"]) == ("2026-11-23", "2026-11-29", "Pacific/Kiritimati")


@pytest.mark.parametrize("waits_for", WaitsFor)
def test_all_reasons_have_words(waits_for: WaitsFor) -> None:
    text = waiting_words.sentence(waits_for, "tiktok")
    assert text
    assert "{" not in text


@pytest.mark.sqlite_only("a server plans by its statistics")
def test_the_starts_of_a_time_are_found_by_the_index(context: Context, clock: Clock) -> None:
    _add(context, "job", 1)
    _publish(context, "job-1-tiktok-1", clock())
    with context.store.reading() as connection:
        with query_cost.traced(connection) as statements:
            found = calendar_rows.started(
                connection, DEFAULT_OWNER, clock() - timedelta(days=1), clock() + timedelta(days=1), 10
            )
            assert calendar_rows.waiting_ids(connection, DEFAULT_OWNER, 10) == []
        plans = query_cost.query_plans(connection, statements)
    assert [post.status for post in found] == [PublicationStatus.PUBLISHED]
    assert any("publications_by_start (account_id=? AND started_at>? AND started_at<?)" in line for line in plans)
    assert not any(line.startswith("SCAN publications") and "INDEX" not in line for line in plans)
