"""Jobs: status, list, and commands."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from falcon.testing import TestClient

from actors import wiring
from api.context import Context
from api.resources import status_document
from store import accounts, jobs, publications, segments
from store.attempts import MediaAttempt, MediaOutcome, encode_attempts
from store.job_numbers import PartNumbers
from store.jobs import Job
from store.publications import Publication
from store.segments import Segment
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.store import rows


def post(segment: Segment, status: PublicationStatus = PublicationStatus.WAITING) -> Publication:
    return Publication(
        id=f"pub-{segment.id}",
        job_id=segment.job_id,
        segment_id=segment.id,
        segment_number=segment.segment_number,
        platform="tiktok",
        account_id="tiktok-1",
        status=status,
        created_at=rows.NOON,
    )


def remember(
    context: Context, job: Job, parts: list[Segment] | None = None, posts: list[Publication] | None = None
) -> None:
    with context.store.writing(scope="everything") as connection:
        accounts.connect(connection, rows.account())
        jobs.create(connection, job)
        segments.create(connection, parts or [])
        publications.create(connection, posts or [])


def test_the_status_document_is_the_designs(client: TestClient, context: Context) -> None:
    part = replace(
        rows.segment(1, status=SegmentStatus.READY),
        duration=57.4,
        progress=1.0,
        gaze={"corrected": True, "share": 0.91, "reason": None},
    )
    published = replace(post(part, PublicationStatus.PUBLISHED), link="https://x/1", due_at=rows.NOON)
    remember(context, rows.job(status=JobStatus.PUBLISHING, parts=1), [part], [published])

    answer = client.simulate_get("/status/job")

    assert answer.status_code == 200
    document = answer.json
    assert {name: document[name] for name in ("job_id", "status", "progress", "title", "created_at", "error")} == {
        "job_id": "job",
        "status": "publishing",
        "progress": 1.0,
        "title": "A talk",
        "created_at": "2026-11-22T12:00:00.000Z",
        "error": None,
    }
    [shown] = document["segments"]
    assert {
        name: shown[name] for name in ("number", "of", "status", "start_s", "duration_s", "cut_reason", "gaze")
    } == {
        "number": 1,
        "of": 1,
        "status": "ready",
        "start_s": 0.0,
        "duration_s": 57.4,
        "cut_reason": "pause",
        "gaze": {"corrected": True, "share": 0.91, "reason": None},
    }
    [publication] = shown["publications"]
    assert {name: publication[name] for name in ("platform", "account", "status", "link", "due_at", "reason")} == {
        "platform": "tiktok",
        "account": "@tiktok-1",
        "status": "published",
        "link": "https://x/1",
        "due_at": "2026-11-22T12:00:00.000Z",
        "reason": None,
    }


def test_a_reason_is_shown_wherever_something_went_another_way(client: TestClient, context: Context) -> None:
    failed = replace(rows.segment(1, status=SegmentStatus.FAILED), reason="the memory was not enough")
    fell_back = replace(
        rows.segment(2, status=SegmentStatus.READY), gaze={"corrected": False, "share": 0.0, "reason": "no_face"}
    )
    refused = replace(post(fell_back, PublicationStatus.FAILED), reason="spam", code="rejected")
    remember(context, replace(rows.job(), error="bad luck", error_code="luck"), [failed, fell_back], [refused])

    document = client.simulate_get("/status/job").json

    assert ("bad luck", "luck") == (document["error"], document["error_code"])
    assert document["segments"][0]["reason"] == "the memory was not enough"
    assert document["segments"][1]["gaze"]["reason"] == "no_face"
    assert document["segments"][1]["publications"][0]["reason"] == "spam"


def test_the_status_lists_warnings_about_an_accepted_file(client: TestClient, context: Context) -> None:
    remember(context, replace(rows.job(), facts={"warnings": ["picture_ends_early"]}), [])
    assert ["picture_ends_early"] == client.simulate_get("/status/job").json["warnings"]
    remember(context, replace(rows.job(), id="job_unplanned"), [])
    assert [] == client.simulate_get("/status/job_unplanned").json["warnings"]


def test_the_status_answers_304_until_something_changes(client: TestClient, context: Context) -> None:
    remember(context, rows.job(), [rows.segment(1)])
    first = client.simulate_get("/status/job")
    known = {"If-None-Match": first.headers["etag"]}

    again = client.simulate_get("/status/job", headers=known)
    assert (again.status_code, again.content) == (304, b"")

    with context.store.writing(scope="everything") as connection:
        segments.claim(connection, "job-1", "attempt", rows.NOON)
        segments.set_progress(connection, "job-1", "attempt", 0.5)
    changed = client.simulate_get("/status/job", headers=known)
    assert changed.status_code == 200
    assert changed.json["segments"][0]["progress"] == 0.5


def test_links_lead_to_the_files_that_exist(client: TestClient, context: Context) -> None:
    remember(context, rows.job(), [rows.segment(1, status=SegmentStatus.READY)])
    folder = wiring.machine.settings.jobs_dir / "job"
    folder.mkdir(parents=True)
    (folder / "part-001.mp4").write_bytes(b"video")
    (folder / "part-001.cover.jpg").write_bytes(b"cover")

    [part] = client.simulate_get("/status/job").json["segments"]
    assert part["links"] == {"video": "/jobs/job/segments/1/video", "cover": "/jobs/job/segments/1/cover"}
    for address, content in zip(part["links"].values(), (b"video", b"cover"), strict=True):
        assert client.simulate_get(address).content == content

    (folder / "part-001.cover.small.jpg").write_bytes(b"small")
    assert client.simulate_get("/jobs/job/segments/1/cover").content == b"cover"
    (folder / "part-001.mp4").unlink()
    (folder / "part-001.cover.jpg").unlink()
    assert client.simulate_get("/status/job").json["segments"][0]["links"] == {"cover": "/jobs/job/segments/1/cover"}
    assert client.simulate_get("/jobs/job/segments/1/cover").content == b"small"

    (folder / "part-001.cover.small.jpg").unlink()
    assert client.simulate_get("/status/job").json["segments"][0]["links"] == {}
    assert client.simulate_get("/jobs/job/segments/1/cover").status_code == 404


@pytest.mark.parametrize(
    ("part", "posts", "expected"),
    [
        (rows.segment(1), [], 0.05),
        (replace(rows.segment(1, status=SegmentStatus.RENDERING), progress=0.5), [], 0.05 + 0.95 * 0.375),
        (rows.segment(1, status=SegmentStatus.READY), [], 0.05 + 0.95 * 0.75),
        (rows.segment(1, status=SegmentStatus.READY), [PublicationStatus.PUBLISHING], 0.05 + 0.95 * 0.875),
        (rows.segment(1, status=SegmentStatus.DONE), [PublicationStatus.PUBLISHED], 1.0),
        (rows.segment(1, status=SegmentStatus.FAILED), [], 1.0),
    ],
)
def test_progress_grows_with_each_stage(part: Segment, posts: list[PublicationStatus], expected: float) -> None:
    numbers = PartNumbers(
        part.status,
        part.duration,
        part.progress,
        posts=len(posts),
        over=posts.count(PublicationStatus.PUBLISHED),
        under_way=posts.count(PublicationStatus.PUBLISHING),
    )
    found = status_document.progress(rows.job(parts=1), [numbers])

    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (JobStatus.PENDING, 0.0),
        (JobStatus.COMPLETED, 1.0),
        (JobStatus.COMPLETED_WITH_ERRORS, 1.0),
        (JobStatus.FAILED, 0.0),
    ],
)
def test_progress_without_parts_is_nothing_or_all(status: JobStatus, expected: float) -> None:
    assert status_document.progress(rows.job(status=status), []) == expected


def test_the_list_goes_on_where_its_page_ended(client: TestClient, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        for number in range(5):
            jobs.create(connection, rows.job(f"job-{number}", minutes=number // 2))

    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.simulate_get("/jobs", params=params).json
        seen += [job["job_id"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert seen == ["job-4", "job-3", "job-2", "job-1", "job-0"]
    own = {"job_id", "title", "original_name", "status", "progress", "created_at"}
    assert set(page["jobs"][0]) == own | {"phase", "next_at", "last_at", "posts", "review"}


BEFORE_ALL_TIME = base64.urlsafe_b64encode(b"0001-01-01T00:00:00+14:00 x").decode()


@pytest.mark.parametrize("cursor", ["x", "!!!!", "bm9wZQ==", "MjAyNi0xMS0yMlQxMjowMDowMCBqb2I=", BEFORE_ALL_TIME])
def test_a_cursor_of_somebody_else_is_a_bad_request(client: TestClient, cursor: str) -> None:
    assert client.simulate_get("/jobs", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_limit_out_of_range_is_a_bad_request(client: TestClient, limit: str) -> None:
    assert client.simulate_get("/jobs", params={"limit": limit}).status_code == 400


def test_a_job_is_cancelled_once(client: TestClient, context: Context) -> None:
    remember(context, rows.job(), [rows.segment(1)])

    first = client.simulate_post("/jobs/job/cancel")
    again = client.simulate_post("/jobs/job/cancel")

    assert (first.status_code, first.json) == (200, {"job_id": "job", "status": "cancelled"})
    assert (again.status_code, again.json["job_status"]) == (409, "cancelled")


def test_only_what_failed_is_tried_again(client: TestClient, context: Context) -> None:
    done, failed = rows.segment(1, status=SegmentStatus.DONE), rows.segment(2, status=SegmentStatus.FAILED)
    remember(context, rows.job(status=JobStatus.COMPLETED_WITH_ERRORS), [done, failed])

    answer = client.simulate_post("/jobs/job/retry")

    assert answer.status_code == 202
    with context.store.reading() as connection:
        found = [part.status for part in segments.of_job(connection, "job")]
    assert found == ["done", "pending"]
    assert client.simulate_post("/jobs/job/retry").status_code == 409


def test_a_job_that_waits_for_a_yes_is_approved_once(client: TestClient, context: Context) -> None:
    part = rows.segment(1, status=SegmentStatus.READY)
    waits = replace(rows.job(status=JobStatus.REVIEW), review_reasons=["sound_unreadable"])
    remember(context, waits, [part], [rows.publication(part, rows.account())])
    assert client.simulate_get("/status/job").json["review"] == {"reasons": ["sound_unreadable"], "approved_at": None}

    first = client.simulate_post("/jobs/job/approve")
    again = client.simulate_post("/jobs/job/approve")

    assert (first.status_code, first.json) == (200, {"job_id": "job", "status": "publishing"})
    assert (again.status_code, again.json) == (200, first.json)  # and nothing is approved twice
    assert client.simulate_get("/status/job").json["review"]["approved_at"] is not None


def test_a_job_that_asks_nothing_cannot_be_approved(client: TestClient, context: Context) -> None:
    remember(context, rows.job(), [rows.segment(1)])
    assert client.simulate_get("/status/job").json["review"] is None
    assert client.simulate_post("/jobs/job/approve").status_code == 409


def test_the_attempts_at_a_part_are_told_without_what_its_child_said(client: TestClient, context: Context) -> None:
    lost = MediaAttempt(
        began_at=rows.NOON, ended_at=rows.NOON, settings="full", outcome=MediaOutcome.CRASHED, signal=11,
        stderr_tail="/data/uploads/job/source: fault",
    )  # fmt: skip
    part = replace(
        rows.segment(1), attempts=encode_attempts([lost]), retry_at=rows.NOON, reason="rendering failed (a crash)"
    )
    remember(context, rows.job(), [part])

    [told] = client.simulate_get("/status/job").json["segments"]

    assert (told["status"], told["retry_at"], told["progress"]) == ("pending", "2026-11-22T12:00:00.000Z", 0)
    assert told["reason"] == "rendering failed (a crash)"
    assert told["attempts"] == [
        {
            "began_at": "2026-11-22T12:00:00.000Z", "ended_at": "2026-11-22T12:00:00.000Z", "settings": "full",
            "outcome": "crashed", "exit_code": None, "signal": 11, "held_bytes": None, "limit_bytes": None,
            "deadline_s": None,
        }
    ]  # fmt: skip


def test_a_deleted_job_is_over(client: TestClient, context: Context) -> None:
    remember(context, rows.job(), [rows.segment(1)])

    assert client.simulate_delete("/jobs/job").status_code == 204
    assert client.simulate_get("/status/job").json["status"] == "cancelled"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/status/nobody"),
        ("POST", "/jobs/nobody/cancel"),
        ("POST", "/jobs/nobody/retry"),
        ("POST", "/jobs/nobody/approve"),
        ("DELETE", "/jobs/nobody"),
        ("GET", "/jobs/nobody/segments/1/video"),
        ("GET", "/jobs/nobody/segments/0/video"),
        ("GET", "/jobs/nobody/segments/x/video"),
        ("GET", "/no/such/route"),
        ("GET", "/static/../settings.py"),
    ],
)
def test_what_is_not_there_is_a_problem_document(client: TestClient, method: str, path: str) -> None:
    answer = client.simulate_request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert json.loads(answer.content)["status"] == 404


def test_a_method_that_is_not_meant_is_a_problem_document(client: TestClient) -> None:
    answer = client.simulate_put("/jobs")

    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in answer.headers["allow"]


@pytest.mark.logs_errors
def test_what_nobody_expected_is_a_problem_document_that_tells_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(jobs, "page", broken)
    answer = client.simulate_get("/jobs")

    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_untrusted_names_and_titles_come_back_as_text(client: TestClient, context: Context, tmp_path: Path) -> None:
    remember(context, replace(rows.job(), title="<script>alert(1)</script> 影片", metadata={"a": [1, None]}))

    document = client.simulate_get("/status/job").json

    assert document["title"] == "<script>alert(1)</script> 影片"
    assert document["metadata"] == {"a": [1, None]}
