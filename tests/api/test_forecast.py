"""Expected times of publications: in the status of a job, in the list of jobs, and for all accounts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from falcon.testing import TestClient

from actors.flow import job_commands
from api.context import Context
from store import accounts, jobs, publications, schedules, segments
from store.owners import DEFAULT_OWNER
from store.publication_queue import start
from store.schedules import Schedule
from store.states import AccountStatus, JobStatus, PublicationStatus, ReviewReason, SegmentStatus
from tests.store import rows
from tests.support.clock import Clock

GAP_S = 3_600.0


def _add(context: Context, name: str, parts: int, *, age_h: float = 0.0, **changes: Any) -> None:
    """Add a job whose parts are ready, and wait on one account."""
    owner = rows.account()
    created_at = context.now() - timedelta(hours=age_h)
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, owner)
        usual = replace(rows.job(name, status=JobStatus.PUBLISHING, parts=parts), created_at=created_at)
        jobs.create(connection, replace(usual, **changes))
        made = [rows.segment(number, job_id=name, status=SegmentStatus.READY) for number in range(1, parts + 1)]
        segments.create(connection, made)
        posts = [replace(rows.publication(part, owner), created_at=created_at) for part in made]
        publications.create(connection, posts)
        rules = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=10, min_gap_s=GAP_S)
        schedules.put(connection, DEFAULT_OWNER, rules)


def _waits(client: TestClient, name: str) -> list[tuple[str | None, str | None]]:
    found = client.simulate_get(f"/status/{name}").json
    posts = [post for part in found["segments"] for post in part["publications"]]
    return [(post["expected_at"] and post["expected_at"][11:16], post["waits_for"]) for post in posts]


def _summary(client: TestClient, name: str) -> dict[str, Any]:
    [found] = [one for one in client.simulate_get("/jobs").json["jobs"] if one["job_id"] == name]
    shown = client.simulate_get(f"/status/{name}").json
    assert {key: shown[key] for key in found} == found
    return {key: found[key] for key in ("phase", "next_at", "last_at")}


def test_every_waiting_post_has_its_time_and_the_job_its_last(client: TestClient, context: Context) -> None:
    _add(context, "job", 3)
    assert _waits(client, "job") == [("12:00", "next"), ("13:00", "earlier_part"), ("14:00", "earlier_part")]
    assert _summary(client, "job") == {
        "phase": "publishing",
        "next_at": "2026-11-22T12:00:00.000Z",
        "last_at": "2026-11-22T14:00:00.000Z",
    }
    with context.store.writing(scope="everything") as connection:
        start(connection, "job-1-tiktok-1", context.now())
    assert _waits(client, "job") == [(None, None), ("13:00", "earlier_part"), ("14:00", "earlier_part")]
    assert _summary(client, "job")["phase"] == "publishing"


def test_a_job_that_waits_for_its_time_is_scheduled(client: TestClient, context: Context, clock: Clock) -> None:
    tomorrow = clock() + timedelta(days=1)
    _add(context, "job", 2, publish_after=tomorrow)
    assert _waits(client, "job") == [("12:00", "own_time"), ("13:00", "earlier_part")]
    assert _summary(client, "job") == {
        "phase": "scheduled",
        "next_at": "2026-11-23T12:00:00.000Z",
        "last_at": "2026-11-23T13:00:00.000Z",
    }


def test_a_job_that_waits_for_a_person_is_blocked(client: TestClient, context: Context) -> None:
    _add(context, "job", 2)
    with context.store.writing(scope="everything") as connection:
        accounts.mark_unusable(connection, "tiktok-1", AccountStatus.RECONNECT, "expired", tokens=b"sealed")
    assert _waits(client, "job") == [(None, "account"), (None, "account")]
    assert _summary(client, "job") == {"phase": "blocked", "next_at": None, "last_at": None}


@pytest.mark.parametrize("reason", ReviewReason)
def test_an_unapproved_job_has_no_times_and_delays_nobody(
    client: TestClient, context: Context, reason: ReviewReason
) -> None:
    _add(context, "old", 2, age_h=1, status=JobStatus.REVIEW, review_reasons=[reason])
    _add(context, "young", 1)
    assert _waits(client, "old") == [(None, "approval"), (None, "approval")]
    assert _waits(client, "young") == [("12:00", "next")]
    assert _summary(client, "old") == {"phase": "review", "next_at": None, "last_at": None}


def test_a_change_moves_the_times_at_once(client: TestClient, context: Context, clock: Clock) -> None:
    """A cancelled job leaves the forecast; a limit that is changed, and a clock that is set back, move it."""
    _add(context, "first", 2, age_h=1)
    _add(context, "second", 1)
    assert _waits(client, "second") == [("14:00", "gap")]
    assert client.simulate_put("/schedule", json={"tiktok": {"min_gap_s": 7200}}).status_code == 200
    assert _waits(client, "second") == [("16:00", "gap")]  # the first part has started
    clock.correct(minutes=-30)
    assert _waits(client, "first")[1] == ("14:00", "earlier_part")
    assert job_commands.cancel(context, "first")
    assert _waits(client, "first")[1] == (None, None)
    assert _waits(client, "second") == [("14:00", "gap")]


def test_a_disconnected_account_leaves_the_forecast(client: TestClient, context: Context) -> None:
    _add(context, "job", 2)
    assert len(client.simulate_get("/forecast").json["posts"]) == 2
    assert client.simulate_delete("/accounts/tiktok-1").status_code == 204
    assert client.simulate_get("/forecast").json["posts"] == []
    assert _waits(client, "job") == [(None, None), (None, None)]


def test_the_forecast_lists_the_next_days_in_pages(client: TestClient, context: Context) -> None:
    _add(context, "job", 35)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "4", "days": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.simulate_get("/forecast", params=params).json
        seen += [post["expected_at"] for post in page["posts"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == 30  # until noon two days later: ten a day
    assert seen == sorted(seen)
    assert page["posts"][-1] == {
        "expected_at": "2026-11-24T09:00:00.000Z", "waits_for": "earlier_part", "publication_id": "job-30-tiktok-1",
        "job_id": "job", "title": "A talk", "number": 30, "of": 35, "platform": "tiktok", "account_id": "tiktok-1",
        "account": "@tiktok-1",
    }  # fmt: skip
    assert len(client.simulate_get("/forecast?days=1").json["posts"]) == 20


@pytest.mark.parametrize("query", ["days=0", "days=61", "days=x", "limit=0", "limit=501", "cursor=x"])
def test_other_queries_are_refused(client: TestClient, query: str) -> None:
    assert client.simulate_get(f"/forecast?{query}").status_code == 400


def test_the_expected_time_is_the_one_at_which_the_scheduler_starts(
    client: TestClient, context: Context, clock: Clock
) -> None:
    """The next post has the same time in both fields."""
    _add(context, "job", 2)
    client.simulate_put("/schedule", json={"tiktok": {"windows": [["18:00", "20:00"]]}})
    [first, second] = [part["publications"][0] for part in client.simulate_get("/status/job").json["segments"]]
    assert first["due_at"] == first["expected_at"] == "2026-11-22T18:00:00.000Z"
    assert (second["due_at"], second["expected_at"]) == (None, "2026-11-22T19:00:00.000Z")
    clock.move(hours=6)
    client.simulate_put("/schedule", json={})  # starts what is due
    with context.store.reading() as connection:
        started = publications.get(connection, "job-1-tiktok-1")
    assert started is not None
    assert (started.status, started.started_at) == (
        PublicationStatus.PUBLISHING,
        datetime.fromisoformat(first["due_at"]),
    )
