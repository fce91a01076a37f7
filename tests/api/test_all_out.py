"""When all parts of a video will be out: in the answer to its upload, and in its status while something waits."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from falcon.testing import TestClient

from actors.flow import forecast_snapshot, job_commands
from api.context import Context
from api.uploads.acceptance import ALL_OUT_BY
from store import accounts, jobs, publications, schedules, segments
from store.owners import DEFAULT_OWNER
from store.schedules import Schedule
from store.states import AccountStatus, JobStatus, PublicationStatus, SegmentStatus
from tests.api.conftest import VIDEO, connect
from tests.store import rows
from tests.support.clock import Clock

POST_S = timedelta(seconds=forecast_snapshot.USUAL_POST_S)
HOURLY = Schedule(platform="tiktok", time_zone="UTC", windows=[], max_per_day=10, min_gap_s=3_600.0)


@pytest.fixture
def hourly(context: Context) -> None:
    """One account of TikTok, and an hour between two posts."""
    connect(context, "tiktok")
    with context.store.writing(scope="everything") as connection:
        schedules.put(connection, DEFAULT_OWNER, HOURLY)


def _upload(client: TestClient, **fields: str) -> dict[str, Any]:
    parts = "".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    head = '--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    body = parts.encode() + head.encode() + VIDEO + b"\r\n--B--\r\n"
    answer = client.simulate_post("/upload", body=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json
    return found


def _known(document: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the time in minutes, and the reason."""
    at = document["all_out_by"]
    return at and at[:16], document["all_out_reason"]


def _status(client: TestClient, job_id: str) -> tuple[str | None, str | None]:
    return _known(client.simulate_get(f"/status/{job_id}").json)


def _plan(context: Context, job_id: str, parts: int) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.start(connection, job_id, context.now())
        assert jobs.set_plan(connection, job_id, facts={}, gaze_zero=None, segment_count=parts)
        made = [rows.segment(number, job_id=job_id, status=SegmentStatus.READY) for number in range(1, parts + 1)]
        segments.create(connection, made)
        publications.create(connection, [rows.publication(part, rows.account()) for part in made])


@pytest.mark.usefixtures("hourly")
def test_an_upload_of_known_duration_says_when_all_will_be_out(
    client: TestClient, context: Context, clock: Clock
) -> None:
    """100 seconds are two parts; the first is rendered after four minutes, the second goes out an hour later."""
    answer = _upload(client, duration_s="100")
    assert _known(answer) == ("2026-11-22T13:02", None)
    assert _status(client, answer["job_id"]) == ("2026-11-22T13:02", None)
    assert client.simulate_get("/forecast").json["posts"] == []  # no publication exists yet
    clock.move(seconds=1)
    assert _known(_upload(client, duration_s="100"))[0] == "2026-11-22T15:02"  # after the two of the first

    _plan(context, answer["job_id"], 3)
    assert _status(client, answer["job_id"]) == ("2026-11-22T14:01", None)


@pytest.mark.usefixtures("hourly")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "not_planned_yet"),
        ({"duration_s": "100", "review": "true"}, "approval"),
        ({"duration_s": "10800", "segment_seconds": "6"}, "expires"),
    ],
)
def test_what_nobody_can_know_has_a_reason(client: TestClient, fields: dict[str, str], reason: str) -> None:
    answer = _upload(client, **fields)
    assert _known(answer) == (None, reason)
    assert _status(client, answer["job_id"]) == (None, reason)


def test_without_an_account_nothing_goes_out(client: TestClient, context: Context) -> None:
    assert _known(_upload(client, duration_s="100")) == (None, "no_account")
    connect(context, "tiktok")
    answer = _upload(client, duration_s="100")
    assert answer["all_out_by"] is not None
    with context.store.writing(scope="everything") as connection:
        [account] = accounts.list_all(connection)
        accounts.mark_unusable(connection, account.id, AccountStatus.RECONNECT, "expired", tokens=account.tokens)
    assert _status(client, answer["job_id"]) == (None, "account")


@pytest.mark.usefixtures("hourly")
def test_the_status_has_it_while_something_waits(client: TestClient, context: Context, clock: Clock) -> None:
    job_id = _upload(client)["job_id"]
    _plan(context, job_id, 2)
    assert _status(client, job_id) == ("2026-11-22T13:01", None)
    with context.store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", clock() + timedelta(hours=5), "TikTok asked for it")
    assert _status(client, job_id) == ("2026-11-22T18:01", None)
    assert job_commands.cancel(context, job_id)
    assert _status(client, job_id) == (None, None)


@pytest.mark.usefixtures("hourly")
def test_a_held_part_has_its_reason(client: TestClient, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.PUBLISHING, parts=2))
        made = [rows.segment(number, status=SegmentStatus.READY) for number in (1, 2)]
        segments.create(connection, made)
        first, second = (rows.publication(part, rows.account()) for part in made)
        publications.create(connection, [replace(first, status=PublicationStatus.FAILED), second])
    assert _status(client, "job") == (None, "earlier_part")


def _metadata(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


@pytest.mark.usefixtures("hourly")
@pytest.mark.parametrize(("options", "expected"), [({"duration_s": "100"}, "2026-11-22T13:02"), ({}, None)])
def test_a_resumable_upload_has_it_in_a_header(
    client: TestClient, options: dict[str, str], expected: str | None
) -> None:
    headers = {
        "Tus-Resumable": "1.0.0", "Upload-Length": str(len(VIDEO)),
        "Upload-Metadata": _metadata(filename="a.mp4", **options), "Content-Type": "application/offset+octet-stream",
    }  # fmt: skip
    answer = client.simulate_post("/files", body=VIDEO, headers=headers)
    assert answer.status_code == 201, answer.text
    again = client.simulate_head(answer.headers["Location"], headers={"Tus-Resumable": "1.0.0"})
    for one in (answer, again):
        assert one.headers["X-Job-Id"]
        assert (one.headers.get(ALL_OUT_BY) or "")[:16] == (expected or "")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "86401", "soon"])
def test_a_wrong_duration_is_refused(client: TestClient, text: str) -> None:
    head = f'--B\r\nContent-Disposition: form-data; name="duration_s"\r\n\r\n{text}\r\n--B\r\n'
    file = 'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    body = (head + file).encode() + VIDEO + b"\r\n--B--\r\n"
    answer = client.simulate_post("/upload", body=body, headers={"Content-Type": "multipart/form-data; boundary=B"})
    assert (answer.status_code, answer.json["field"]) == (422, "duration_s")


@pytest.mark.usefixtures("hourly")
def test_an_accepted_upload_is_answered_also_without_a_forecast(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other answer would have the video sent, and published, again."""

    def broken(*_: object) -> None:
        raise OSError("the database is away")

    monkeypatch.setattr(forecast_snapshot, "read", broken)
    answer = _upload(client, duration_s="100")
    assert answer["job_id"]
    assert _known(answer) == (None, None)
