"""Schedules of single accounts: of the platform until the account has its own."""

from __future__ import annotations

from datetime import datetime

import pytest
from falcon.testing import TestClient
from sqlalchemy import update

from actors.flow import platform_limits
from api.context import Context
from platforms.contract import QuotaAnswer
from store import accounts, jobs, publications, segments, tables
from store.states import JobStatus, SegmentStatus
from tests.api.conftest import connect
from tests.store import rows

PATH = "/accounts/tiktok-1/schedule"


def _add_post(context: Context, account_id: str) -> None:
    """Add a job whose only part waits on one account of TikTok."""
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(account_id, status=JobStatus.PUBLISHING, parts=1))
        part = rows.segment(1, job_id=account_id, status=SegmentStatus.READY)
        segments.create(connection, [part])
        publications.create(connection, [rows.publication(part, rows.account(account_id))])


def _times(client: TestClient, job_id: str) -> tuple[str, str | None]:
    """Return the time by the scheduler and the time by the forecast."""
    [post] = client.simulate_get(f"/status/{job_id}").json["segments"][0]["publications"]
    return post["due_at"], post["expected_at"]


def test_an_account_has_its_platforms_schedule_until_it_gets_its_own(client: TestClient, context: Context) -> None:
    connect(context, "tiktok")
    client.simulate_put("/schedule", json={"tiktok": {"max_per_day": 3, "time_zone": "Europe/Berlin"}})
    platforms = client.simulate_get("/schedule").json["tiktok"]
    assert client.simulate_get(PATH).json == platforms | {"inherited": True, "platform_limit": None}

    own = client.simulate_put(PATH, json={"windows": [["18:00", "24:00"]]})

    changed = {"windows": [["18:00", "00:00"]], "inherited": False, "platform_limit": None}
    assert (own.status_code, own.json) == (200, platforms | changed)
    client.simulate_put("/schedule", json={"tiktok": {"max_per_day": 9}})
    assert client.simulate_get(PATH).json == own.json
    assert client.simulate_put(PATH, json={"max_per_day": 2}).json == own.json | {"max_per_day": 2}
    assert client.simulate_get("/schedule").json["tiktok"] == platforms | {"max_per_day": 9}

    assert client.simulate_delete(PATH).status_code == 204
    assert client.simulate_delete(PATH).status_code == 204
    assert client.simulate_get(PATH).json == platforms | {"max_per_day": 9, "inherited": True, "platform_limit": None}


def test_scheduler_and_forecast_follow_the_schedule_of_the_account(client: TestClient, context: Context) -> None:
    """Two accounts of one platform; the forecast comes from another function than the scheduler's `due_at`."""
    connect(context, "tiktok")
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, rows.account("tiktok-2"))
    for name in ("tiktok-1", "tiktok-2"):
        _add_post(context, name)
    client.simulate_put("/accounts/tiktok-1/schedule", json={"windows": [["18:00", "19:00"]]})
    client.simulate_put(
        "/accounts/tiktok-2/schedule", json={"windows": [["09:00", "10:00"]], "time_zone": "America/New_York"}
    )
    assert _times(client, "tiktok-1") == ("2026-11-22T18:00:00.000Z", "2026-11-22T18:00:00.000Z")
    assert _times(client, "tiktok-2") == ("2026-11-22T14:00:00.000Z", "2026-11-22T14:00:00.000Z")

    client.simulate_delete("/accounts/tiktok-1/schedule")  # always open: it starts

    with context.store.reading() as connection:
        started = publications.get(connection, "tiktok-1-1-tiktok-1")
    assert started is not None
    assert started.started_at == datetime.fromisoformat("2026-11-22T12:00:00+00:00")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"windows": [["10:00", "10:00"]]}, "windows.0"),
        ({"max_per_day": 0}, "max_per_day"),
        ({"max_per_day": True}, "max_per_day"),
        ({"min_gap_s": -1}, "min_gap_s"),
        ({"speed": 1}, "speed"),
    ],
)
def test_a_wrong_schedule_of_an_account_changes_nothing(
    client: TestClient, context: Context, body: dict[str, object], field: str
) -> None:
    connect(context, "tiktok")
    answer = client.simulate_put(PATH, json=body)
    assert (answer.status_code, answer.json["field"]) == (422, field)
    assert client.simulate_get(PATH).json["inherited"]


def test_an_account_that_is_gone_has_no_schedule_and_gets_it_back_with_its_login(
    client: TestClient, context: Context
) -> None:
    connect(context, "tiktok")
    client.simulate_put(PATH, json={"max_per_day": 2})
    assert client.simulate_delete("/accounts/tiktok-1").status_code == 204
    for path in (PATH, "/accounts/unknown/schedule"):
        assert client.simulate_get(path).status_code == 404
        assert client.simulate_put(path, json={}).status_code == 404
        assert client.simulate_delete(path).status_code == 404
    connect(context, "tiktok")
    assert client.simulate_get(PATH).json["max_per_day"] == 2


def test_the_metric_counts_the_posts_of_the_day_of_the_account(client: TestClient, context: Context) -> None:
    """Of three posts, the last of them of this day in Auckland, where it is one o'clock in the morning."""
    connect(context, "tiktok")
    client.simulate_put(PATH, json={"time_zone": "Pacific/Auckland", "max_per_day": 3, "min_gap_s": 0})
    for number, began in enumerate(("2026-11-22T10:00", "2026-11-22T10:59", "2026-11-22T11:01")):
        with context.store.writing(scope="everything") as connection:
            jobs.create(connection, rows.job(f"job{number}", status=JobStatus.PUBLISHING, parts=1))
            part = rows.segment(1, job_id=f"job{number}", status=SegmentStatus.READY)
            segments.create(connection, [part])
            post = rows.publication(part, rows.account("tiktok-1"))
            publications.create(connection, [post])
            began_at = datetime.fromisoformat(f"{began}:00+00:00")
            change = update(tables.publications).where(tables.publications.c.id == post.id)
            connection.execute(change.values(status="published", started_at=began_at))
    text = client.simulate_get("/metrics").text
    assert 'vidprod_account_posts_remaining{account="tiktok-1",platform="tiktok"} 2.0' in text


def test_the_schedule_says_what_the_platform_itself_takes(client: TestClient, context: Context) -> None:
    """As it answered last, else as it is documented; the schedule may allow more."""
    connect(context, "instagram", "youtube")
    path = "/accounts/instagram-1/schedule"
    documented = {"posts": 50, "day_zone": None, "others": 0, "read_at": None, "reason": None}
    assert client.simulate_get(path).json["platform_limit"] == documented
    of_app = {**documented, "posts": 100, "day_zone": "America/Los_Angeles"}
    assert client.simulate_get("/accounts/youtube-1/schedule").json["platform_limit"] == of_app

    with context.store.writing(scope="everything") as connection:
        platform_limits.record(connection, "instagram-1", QuotaAnswer(25, 3), context.now())
    read = {**documented, "posts": 25, "others": 3, "read_at": "2026-11-22T12:00:00.000Z"}
    assert client.simulate_get(path).json["platform_limit"] == read

    with context.store.writing(scope="everything") as connection:
        platform_limits.record(connection, "instagram-1", QuotaAnswer(reason="no permission"), context.now())
    refused = {**documented, "read_at": "2026-11-22T12:00:00.000Z", "reason": "no permission"}
    assert client.simulate_get(path).json["platform_limit"] == refused
