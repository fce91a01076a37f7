"""The plan of a job over HTTP: its parts, and by what their cuts can be moved."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from falcon.testing import TestClient

from api.context import Context
from media.limits import MAX_CHOSEN_PARTS
from media.reading.spans import Span
from store import accounts, job_plans, jobs, publications, reviews, segments
from store.job_plans import JobPlan
from store.segments import Segment
from store.states import JobStatus, ReviewReason, SegmentStatus
from tests.store import rows

RATE = Fraction(30_000, 1001)
BOUNDS = ((0, 600), (600, 900), (1500, 300))
TOTAL = 1800


def part(number: int, status: SegmentStatus = SegmentStatus.READY) -> Segment:
    first, frames = BOUNDS[number - 1]
    span = Span(first=first, frames=frames, total=TOTAL, rate=RATE, origin_s=Fraction(0), seek=None)
    return replace(
        rows.segment(number, status=status), span=span.to_json(), start_s=span.start_s, duration=span.duration_s,
        cut_reason="end" if span.is_last else "pause",
    )  # fmt: skip


@pytest.fixture
def planned(context: Context) -> Context:
    """A job of three parts in review, with the uploaded file and a publication of each part."""
    owner = rows.account()
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.REVIEW, parts=3))
        accounts.connect(connection, owner)
        segments.create(connection, [part(number) for number in (1, 2, 3)])
        publications.create(connection, [rows.publication(part(number), owner) for number in (1, 2, 3)])
        job_plans.create(
            connection,
            JobPlan(job_id="job", pauses=[[19.9, 20.2]], peaks={"per_s": 50.0, "values": "AP8="}, key_frames=[[30, 1]]),
        )
    source = context.settings.data_dir / "uploads" / "job" / "source"
    source.parent.mkdir(parents=True)
    source.write_bytes(b"video")
    return context


def plan(client: TestClient) -> Any:  # Any: JSON
    return client.simulate_get("/jobs/job/plan").json


def test_a_plan_shows_parts_pauses_and_peaks(client: TestClient, planned: Context) -> None:
    found = plan(client)
    assert {name: found[name] for name in found if name != "parts"} == {
        "duration_s": 60.06,
        "frame_rate": "30000/1001",
        "min_part_s": 6,
        "max_part_s": 60,
        "gaze_intensity": 0.8,
        "editable": True,
        "reason": None,
        "reason_text": None,
        "pauses": [{"start_s": 19.9, "end_s": 20.2}],
        "peaks": {"per_s": 50.0, "values": "AP8="},
    }
    assert found["parts"][1] == {
        "number": 2,
        "start_s": 20.02,
        "end_s": 50.05,
        "cut_reason": "pause",
        "gaze_intensity": None,
        "begun": False,
    }


def test_an_unchanged_plan_is_not_sent_again(client: TestClient, planned: Context) -> None:
    tag = client.simulate_get("/jobs/job/plan").headers["ETag"]
    assert client.simulate_get("/jobs/job/plan", headers={"If-None-Match": tag}).status_code == 304
    with planned.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE publications SET status = 'publishing' WHERE segment_number = 1")
    again = client.simulate_get("/jobs/job/plan", headers={"If-None-Match": tag})
    assert (again.status_code, [one["begun"] for one in again.json["parts"]]) == (200, [True, False, False])


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE jobs SET segment_count = NULL", "not_planned_yet"),
        ("UPDATE jobs SET source_deleted_at = '2026-11-22 12:00:00.000000'", "source_deleted"),
        ("UPDATE jobs SET status = 'completed'", "job_over"),
        ("UPDATE jobs SET status = 'cancelled'", "job_over"),
        ("UPDATE publications SET status = 'outcome_unknown'", "publication_started"),
        ("UPDATE publications SET started_at = '2026-11-22 12:00:00.000000', status = 'failed'", "publication_started"),
    ],
)
def test_a_plan_says_why_it_cannot_be_changed(
    client: TestClient, planned: Context, statement: str, reason: str
) -> None:
    with planned.store.writing(scope="everything") as connection:
        connection.exec_driver_sql(statement)
    found = plan(client)
    assert (found["editable"], found["reason"]) == (False, reason)
    assert found["reason_text"]


def test_a_plan_whose_upload_is_missing_cannot_be_changed(client: TestClient, planned: Context) -> None:
    (planned.settings.data_dir / "uploads" / "job" / "source").unlink()
    assert plan(client)["reason"] == "source_deleted"


def test_a_job_without_a_plan_or_of_an_earlier_version_is_shown(client: TestClient, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.PENDING, parts=None))
    found = plan(client)
    assert (found["duration_s"], found["parts"], found["pauses"], found["peaks"]) == (None, [], [], None)
    assert found["reason"] == "not_planned_yet"
    assert client.simulate_get("/jobs/none/plan").status_code == 404


def put(client: TestClient, tag: str | None, *parts: tuple[float, float], **more: Any) -> Any:  # Any: JSON, a response
    headers = {} if tag is None else {"If-Match": tag}
    body = {"parts": [{"start_s": start_s, "end_s": end_s, **more} for start_s, end_s in parts]}
    return client.simulate_put("/jobs/job/plan", json=body, headers=headers)


def tag_of(client: TestClient) -> str:
    return client.simulate_get("/jobs/job/plan").headers["ETag"]


def test_a_cut_is_moved(client: TestClient, planned: Context) -> None:
    tag = tag_of(client)
    changed = put(client, tag, (0, 25), (25, 50.05), (50.05, 60.06))
    assert changed.status_code == 200, changed.json
    assert [(one["number"], one["start_s"], one["end_s"], one["cut_reason"]) for one in changed.json["parts"]] == [
        (1, 0.0, 24.991633, "chosen"), (2, 24.991633, 50.05, "pause"), (3, 50.05, 60.06, "end"),
    ]  # fmt: skip
    again = client.simulate_get("/jobs/job/plan")
    assert (again.headers["ETag"], again.json) == (changed.headers["ETag"], changed.json)
    status = client.simulate_get("/status/job").json
    assert [(one["number"], one["of"], one["status"]) for one in status["segments"]] == [
        (1, 3, "pending"), (2, 3, "pending"), (3, 3, "ready"),
    ]  # fmt: skip
    assert {post["title"] for part in status["segments"] for post in part["publications"]} == {
        f"A talk — Part {number}/3" for number in (1, 2, 3)
    }


def test_titles_count_the_parts_that_there_are_now(client: TestClient, planned: Context) -> None:
    put(client, tag_of(client), (0, 50.05), (50.05, 60.06))
    status = client.simulate_get("/status/job").json
    assert [post["title"] for part in status["segments"] for post in part["publications"]] == [
        "A talk — Part 1/2", "A talk — Part 2/2",
    ]  # fmt: skip
    assert all(post["editable"] for part in status["segments"] for post in part["publications"])


def test_an_intensity_of_its_own_is_shown(client: TestClient, planned: Context) -> None:
    changed = put(client, tag_of(client), (0, 20.02), (20.02, 50.05), gaze_intensity=0)
    assert [one["gaze_intensity"] for one in changed.json["parts"]] == [0, 0]
    back = put(client, changed.headers["ETag"], (0, 20.02), (20.02, 50.05), gaze_intensity=None)
    assert [one["gaze_intensity"] for one in back.json["parts"]] == [None, None]


def test_a_change_needs_the_etag_of_the_present_plan(client: TestClient, planned: Context) -> None:
    tag = tag_of(client)
    without = put(client, None, (0, 25), (25, 50))
    assert (without.status_code, without.json["code"]) == (428, "if_match_missing")
    for wrong in ('"0123456789abcdef01234567"', "*", f"{tag}, {tag}"):
        assert put(client, wrong, (0, 25), (25, 50)).status_code == 412
    assert tag_of(client) == tag
    assert put(client, tag, (0, 25), (25, 50)).status_code == 200
    outdated = put(client, tag, (0, 26), (26, 50))
    assert (outdated.status_code, outdated.json["code"]) == (412, "plan_changed")
    assert outdated.json["etag"] == outdated.headers["ETag"] == tag_of(client)


@pytest.mark.parametrize("form", ["W/{}", '"{plain}-gzip"', 'W/"{plain}-br"'])
def test_a_tag_that_a_compressing_proxy_has_changed_still_counts(
    client: TestClient, planned: Context, form: str
) -> None:
    """nginx makes it weak, Apache adds the coding: without this every change is refused behind them."""
    tag = tag_of(client)
    assert put(client, form.format(tag, plain=tag.strip('"')), (0, 25), (25, 50)).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"parts": []}, "parts"),
        ({}, "parts"),
        ({"parts": [{"start_s": 0}]}, "parts.0.end_s"),
        ({"parts": [{"start_s": -1, "end_s": 20}]}, "parts.0.start_s"),
        ({"parts": [{"start_s": 0, "end_s": 1e300}]}, "parts.0.end_s"),
        ({"parts": [{"start_s": 0, "end_s": 20, "gaze_intensity": 1.1}]}, "parts.0.gaze_intensity"),
        ({"parts": [{"start_s": 0, "end_s": 20, "number": 1}]}, "parts.0.number"),
        ({"parts": [{"start_s": 0, "end_s": 20}, {"start_s": 20, "end_s": 25}]}, "parts[1].end_s"),
        ({"parts": [{"start_s": 0, "end_s": 61}]}, "parts[0].end_s"),
        ({"parts": [{"start_s": 0, "end_s": 20}, {"start_s": 19, "end_s": 29}]}, "parts[1].start_s"),
        ({"parts": [{"start_s": 40, "end_s": 61}]}, "parts[0].end_s"),
    ],
)
def test_parts_that_cannot_be_are_refused_with_their_field(
    client: TestClient, planned: Context, body: dict[str, Any], field: str
) -> None:
    answer = client.simulate_put("/jobs/job/plan", json=body, headers={"If-Match": tag_of(client)})
    assert (answer.status_code, answer.json["field"]) == (422, field)


def test_it_is_refused_with_its_reason(client: TestClient, planned: Context) -> None:
    with planned.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE publications SET status = 'published' WHERE segment_number = 1")
    first = put(client, tag_of(client), (0, 25), (25, 50.05), (50.05, 60.06))
    assert (first.status_code, first.json["code"]) == (409, "publication_started")
    assert "part 1" in first.json["detail"]
    later = put(client, tag_of(client), (0, 20.02), (20.02, 45), (45, 60.06))
    assert later.status_code == 200, later.json
    with planned.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE jobs SET source_deleted_at = '2026-11-22 12:00:00.000000'")
    gone = put(client, tag_of(client), (0, 20.02), (20.02, 50), (50, 60.06))
    assert (gone.status_code, gone.json["code"]) == (409, "source_deleted")
    assert client.simulate_put("/jobs/none/plan", json={"parts": [{"start_s": 0, "end_s": 9}]},
                               headers={"If-Match": '"x"'}).status_code == 404  # fmt: skip


def test_many_parts_fit_into_a_request(client: TestClient, planned: Context) -> None:
    """Three hours in parts of a minute; twice as many are still less than the limit of a body."""
    body = {"parts": [{"start_s": 10790.123456, "end_s": 10799.123456, "gaze_intensity": 0.85}] * 360}
    answer = client.simulate_put("/jobs/job/plan", json=body, headers={"If-Match": tag_of(client)})
    assert answer.status_code == 422


def test_the_plan_of_the_longest_video_is_not_too_large(client: TestClient, planned: Context) -> None:
    """Three hours in parts of six seconds: a page sends all parts, with all decimals."""
    times = [(9_000.123456 + number, 9_001.123456 + number) for number in range(MAX_CHOSEN_PARTS)]
    parts = [{"start_s": start_s, "end_s": end_s, "gaze_intensity": 0.123456} for start_s, end_s in times]
    answer = client.simulate_put("/jobs/job/plan", json={"parts": parts}, headers={"If-Match": tag_of(client)})
    assert (answer.status_code, answer.json["field"]) == (422, "parts[0].end_s")  # this video is shorter


def approve(client: TestClient, tag: str, numbers: list[int]) -> Any:  # Any: JSON, a response
    return client.simulate_post("/jobs/job/approve", json={"parts": numbers}, headers={"If-Match": tag})


def test_an_approval_of_an_earlier_plan_is_refused(client: TestClient, planned: Context) -> None:
    """After another person's change of the cuts, part 2 may be one that nobody has seen."""
    with planned.store.writing(scope="everything") as connection:
        reviews.require(connection, "job", ReviewReason.REQUESTED)
    seen = tag_of(client)
    assert approve(client, seen, [1]).status_code == 200
    seen = tag_of(client)  # the post of part 1 begins, which is another version
    assert put(client, seen, (0, 20.02), (20.02, 35), (35, 60.06)).status_code == 200
    for numbers in ([2], [4]):
        outdated = approve(client, seen, numbers)
        assert (outdated.status_code, outdated.json["code"]) == (412, "plan_changed")
        assert outdated.json["etag"] == outdated.headers["ETag"] == tag_of(client)
    for wrong in ("*", f"{seen}, {seen}"):
        assert approve(client, wrong, [2]).status_code == 412
    shown = client.simulate_get("/status/job").json["segments"]
    assert [part["approved"] for part in shown] == [True, False, False]
    assert approve(client, tag_of(client), [2]).status_code == 200
    assert client.simulate_post("/jobs/job/approve", json={"parts": [3]}).status_code == 200  # it is optional
    assert approve(client, seen, [1]).status_code == 200  # everything is approved already


def test_all_parts_of_the_longest_video_fit_into_an_approval_and_a_change_of_words(
    client: TestClient, planned: Context
) -> None:
    with planned.store.writing(scope="everything") as connection:
        reviews.require(connection, "job", ReviewReason.REQUESTED)
    every = range(1, MAX_CHOSEN_PARTS + 1)
    words = {str(number): {"title": f"Chapter {number} of the longest talk"} for number in every}
    for answer in (
        client.simulate_post("/jobs/job/approve", json={"parts": list(every)}),
        client.simulate_patch("/jobs/job", json={"parts": words}),
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "no_such_part")  # this video is shorter
    for answer in (
        client.simulate_post("/jobs/job/approve", json={"parts": [*every, 1]}),
        client.simulate_patch("/jobs/job", json={"parts": words | {"9999": {"title": "x"}}}),
    ):
        assert (answer.status_code, answer.json["field"]) == (422, "parts")
