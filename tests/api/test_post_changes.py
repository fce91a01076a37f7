"""Words and options of posts over HTTP: PATCH, the status document, and the limits."""

from __future__ import annotations

from typing import Any

import pytest
from falcon.testing import TestClient

from api.context import Context
from platforms.registry import PLATFORMS
from store import accounts, jobs, publication_queue, publications, reviews, segments
from store.states import JobStatus, ReviewReason, SegmentStatus
from tests.store import rows

POST = "job-1-youtube-1"


@pytest.fixture
def planned(context: Context) -> Context:
    """A job with two parts on YouTube and TikTok."""
    parts = [rows.segment(number, status=SegmentStatus.READY) for number in (1, 2)]
    owners = [rows.account("youtube-1", "youtube"), rows.account()]
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.PUBLISHING))
        segments.create(connection, parts)
        for owner in owners:
            accounts.connect(connection, owner)
        publications.create(connection, [rows.publication(part, owner) for part in parts for owner in owners])
    return context


def posts(client: TestClient) -> dict[str, Any]:  # Any: JSON
    found = client.simulate_get("/status/job").json
    return {post["id"]: post for part in found["segments"] for post in part["publications"]}


def test_words_are_set_for_the_video_a_platform_a_part_and_a_post(client: TestClient, planned: Context) -> None:
    answer = client.simulate_patch(
        "/jobs/job",
        json={
            "title": "New",
            "caption": "Read this",
            "platforms": {"youtube": {"title": "{title} ({n}/{m})", "options": {"privacy": "unlisted"}}},
            "parts": {"2": {"caption": "Part {n} of {m}"}},
        },
    )
    assert answer.status_code == 200, answer.json
    changed = client.simulate_patch(f"/publications/{POST}", json={"title": "Only here"})

    assert (changed.status_code, changed.json["title"]) == (200, "Only here — Part 1/2")
    shown = posts(client)
    assert {name: (post["title"], post["caption"], post["options"]) for name, post in shown.items()} == {
        POST: ("Only here — Part 1/2", None, {"privacy": "unlisted"}),
        "job-1-tiktok-1": ("New — Part 1/2", None, {}),
        "job-2-youtube-1": ("New (2/2)", "Part 2 of 2", {"privacy": "unlisted"}),
        "job-2-tiktok-1": ("New — Part 2/2", "Part 2 of 2", {}),
    }
    assert all(post["editable"] for post in shown.values())
    own = {"title": "Only here", "caption": None, "options": None}
    assert [post["own_words"] for name, post in shown.items() if name == POST] == [own]
    assert [post["own_words"] for name, post in shown.items() if name != POST] == [None] * 3
    assert answer.json["platform_words"]["youtube"]["options"] == {"privacy": "unlisted"}
    assert answer.json["part_words"] == {"2": {"title": None, "caption": "Part {n} of {m}", "options": None}}


def test_null_inherits_again(client: TestClient, planned: Context) -> None:
    client.simulate_patch(f"/publications/{POST}", json={"title": "Only here", "options": {"privacy": "private"}})
    again = client.simulate_patch(f"/publications/{POST}", json={"title": None, "options": None})

    assert (again.json["title"], again.json["options"]) == ("A talk — Part 1/2", {})


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/jobs/job", {"title": "x" * 200}, "title"),
        ("/jobs/job", {"title": "{title}"}, "title"),
        ("/jobs/job", {"parts": {"1": {"caption": "#a" * 31, "title": "<"}}}, "title"),
        ("/jobs/job", {"platforms": {"youtube": {"title": ""}}}, "title"),
        ("/jobs/job", {"platforms": {"myspace": {}}}, "platforms.myspace"),
        (
            "/jobs/job",
            {"platforms": {"youtube": {"options": {"privacy": "friends"}}}},
            "platforms.youtube.options.privacy",
        ),
        ("/jobs/job", {"parts": {"0": {}}}, "parts.0.[key]"),
        ("/jobs/job", {"words": {}}, "words"),
        (f"/publications/{POST}", {"options": {"privacy": "friends"}}, "options.privacy"),
        (f"/publications/{POST}", {"options": {"colour": 1}}, "options.colour"),
        (f"/publications/{POST}", {"title": "sound\x07"}, "title"),
    ],
)
def test_words_that_do_not_fit_are_refused_by_name(
    client: TestClient, planned: Context, path: str, body: dict[str, Any], field: str
) -> None:
    before = posts(client)
    answer = client.simulate_patch(path, json=body)

    assert (answer.status_code, answer.json.get("field")) == (422, field), answer.json
    assert before == posts(client)


def test_a_post_that_has_begun_is_a_conflict(client: TestClient, planned: Context) -> None:
    with planned.store.writing(scope="everything") as connection:
        publication_queue.start(connection, POST, planned.now())
        publications.set_words(connection, POST, {"title": "Sent", "caption": "c", "options": {}})

    refused = client.simulate_patch(f"/publications/{POST}", json={"title": "Late"})
    assert (refused.status_code, refused.json["code"]) == (409, "publication_started")
    assert client.simulate_patch("/jobs/job", json={"title": "New"}).status_code == 200
    shown = posts(client)
    assert (shown[POST]["title"], shown[POST]["editable"]) == ("Sent", False)
    assert shown["job-2-youtube-1"]["title"] == "New — Part 2/2"


def test_a_video_that_is_published_nowhere_gets_its_title(client: TestClient, context: Context) -> None:
    """It has no post that could have begun."""
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.PROCESSING))

    assert client.simulate_patch("/jobs/job", json={"title": "New"}).json["title"] == "New"
    refused = client.simulate_patch("/jobs/job", json={"parts": {"3": {"title": "x"}}})
    assert (refused.status_code, refused.json["code"]) == (409, "no_such_part")


def test_what_is_unknown_is_not_found(client: TestClient, context: Context) -> None:
    assert client.simulate_patch("/jobs/nobody", json={"title": "x"}).status_code == 404
    assert client.simulate_patch("/publications/nobody", json={"title": "x"}).status_code == 404


def test_the_limits_are_those_that_are_checked(client: TestClient) -> None:
    """A text of the maximum fits, one more does not."""
    shown = client.simulate_get("/limits").json
    assert set(shown["platforms"]) == set(PLATFORMS)
    longest = {
        (name, one["of"]): one["maximum"]
        for name, platform in shown["platforms"].items()
        for one in platform["limits"]
        if one["unit"] in {"utf16_units", "bytes"}
    }
    for (name, of), maximum in longest.items():
        compose = PLATFORMS[name].compose
        if of == "title":
            compose("x" * maximum, "")
        else:
            compose("x" if of == "caption" else "", "x" * maximum)
        with pytest.raises(Exception, match="too_long"):
            compose("x" * (maximum + 1) if of == "title" else "x", "x" * (maximum + 1))


def test_a_post_is_held_moved_and_released(client: TestClient, planned: Context) -> None:
    held = client.simulate_patch(f"/publications/{POST}", json={"held": True, "title": "New"})
    assert (held.status_code, held.json["held"], held.json["waits_for"]) == (200, True, "hold")
    assert held.json["title"] == "New — Part 1/2"
    later = "2026-11-23T18:00:00.000Z"
    moved = client.simulate_patch(f"/publications/{POST}", json={"held": False, "publish_after": later})
    assert (moved.json["held"], moved.json["publish_after"], moved.json["expected_at"]) == (False, later, later)
    assert moved.json["waits_for"] == "own_time"
    refused = client.simulate_patch("/publications/job-2-youtube-1", json={"publish_after": "2026-11-23T12:00:00Z"})
    assert (refused.status_code, refused.json["code"]) == (409, "out_of_order")
    assert (refused.json["part"], refused.json["at"]) == (1, later)
    assert "part 1 goes out on 23 November 2026 at 18:00 UTC" in refused.json["detail"]
    client.simulate_patch("/publications/job-2-youtube-1", json={"publish_after": "2026-11-24T12:00:00Z"})
    shifted = client.simulate_patch(
        f"/publications/{POST}", json={"publish_after": "2026-11-24T18:00:00+01:00", "shift_following": True}
    )
    assert shifted.json["publish_after"] == "2026-11-24T17:00:00.000Z"
    assert posts(client)["job-2-youtube-1"]["publish_after"] == "2026-11-25T11:00:00.000Z"
    again = client.simulate_patch(f"/publications/{POST}", json={"publish_after": None})
    assert (again.json["publish_after"], again.json["status"]) == (None, "publishing")


def test_a_post_is_published_now(client: TestClient, planned: Context) -> None:
    refused = client.simulate_patch("/publications/job-2-youtube-1", json={"publish_now": True})
    assert (refused.status_code, refused.json["code"], refused.json["part"]) == (409, "earlier_part_waits", 1)
    for _ in range(2):
        started = client.simulate_patch(f"/publications/{POST}", json={"publish_now": True})
        assert (started.json["status"], started.json["publish_now"]) == ("publishing", True)
    late = client.simulate_patch(f"/publications/{POST}", json={"held": True})
    assert (late.status_code, late.json["code"]) == (409, "publication_started")


def test_a_whole_video_is_held_and_moved(client: TestClient, planned: Context) -> None:
    at = "2026-12-01T08:00:00.000Z"
    changed = client.simulate_patch("/jobs/job", json={"held": True, "publish_after": at, "title": "New"})
    assert (changed.json["held"], changed.json["publish_after"], changed.json["title"]) == (True, at, "New")
    assert {post["waits_for"] for post in posts(client).values()} == {"hold"}
    assert changed.json["phase"] == "blocked"
    released = client.simulate_patch("/jobs/job", json={"held": False})
    assert (released.json["next_at"], released.json["phase"]) == (at, "scheduled")
    assert client.simulate_patch("/jobs/job", json={"publish_after": None}).json["publish_after"] is None


def test_a_video_that_is_not_planned_yet_is_held(client: TestClient, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, rows.job(status=JobStatus.PROCESSING, parts=None))
    assert client.simulate_patch("/jobs/job", json={"held": True}).json["held"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (f"/publications/{POST}", {"held": None}, "held"),
        (f"/publications/{POST}", {"held": "true"}, "held"),
        (f"/publications/{POST}", {"publish_after": "2026-11-24T18:00:00"}, "publish_after"),
        (f"/publications/{POST}", {"publish_after": "tomorrow"}, "publish_after"),
        (f"/publications/{POST}", {"publish_after": 5}, "publish_after"),
        (f"/publications/{POST}", {"publish_after": "2028-01-01T00:00:00Z"}, "publish_after"),
        (f"/publications/{POST}", {"shift_following": True}, "shift_following"),
        (f"/publications/{POST}", {"publish_now": True, "held": True}, "publish_now"),
        (f"/publications/{POST}", {"publish_now": True, "publish_after": None}, "publish_now"),
        ("/jobs/job", {"publish_now": True}, "publish_now"),
        ("/jobs/job", {"publish_after": "2028-01-01T00:00:00Z"}, "publish_after"),
    ],
)
def test_times_that_do_not_fit_are_refused_by_name(
    client: TestClient, planned: Context, path: str, body: dict[str, Any], field: str
) -> None:
    before = posts(client)
    answer = client.simulate_patch(path, json=body)
    assert (answer.status_code, answer.json.get("field")) == (422, field), answer.json
    assert before == posts(client)


def test_refused_words_leave_the_time_as_it_is(client: TestClient, planned: Context) -> None:
    """One transaction, in both orders."""
    refused = client.simulate_patch("/jobs/job", json={"held": True, "title": "x" * 200})
    assert (refused.status_code, client.simulate_get("/status/job").json["held"]) == (422, False)
    late = {"title": "New", "publish_now": True}
    refused = client.simulate_patch("/publications/job-2-youtube-1", json=late)
    assert (refused.status_code, posts(client)["job-2-youtube-1"]["title"]) == (409, "A talk — Part 2/2")


def test_parts_are_approved_one_by_one(client: TestClient, planned: Context) -> None:
    with planned.store.writing(scope="everything") as connection:
        reviews.require(connection, "job", ReviewReason.REQUESTED)
        reviews.update_status(connection, "job")
    assert client.simulate_get("/jobs").json["jobs"][0]["review"] == {"reasons": ["requested"], "approved_at": None}
    first = client.simulate_post("/jobs/job/approve", json={"parts": [1]})
    assert (first.status_code, first.json["status"]) == (200, "review")
    shown = client.simulate_get("/status/job").json
    assert [part["approved"] for part in shown["segments"]] == [True, False]
    assert posts(client)["job-2-youtube-1"]["waits_for"] == "approval"
    for body in ({"parts": [2]}, {}, None):
        done = (
            client.simulate_post("/jobs/job/approve", json=body) if body else client.simulate_post("/jobs/job/approve")
        )
        assert (done.status_code, done.json["status"]) == (200, "publishing")
    unknown = client.simulate_post("/jobs/job/approve", json={"parts": [3]})
    assert (unknown.status_code, unknown.json["code"]) == (409, "no_such_part")
    for parts in ([], [0], ["1"], "all"):
        assert client.simulate_post("/jobs/job/approve", json={"parts": parts}).status_code == 422
    assert client.simulate_post("/jobs/nothing/approve").status_code == 404


def test_one_call_approves_all_restored_jobs(client: TestClient, planned: Context) -> None:
    with planned.store.writing(scope="everything") as connection:
        reviews.require_of_all(connection, ReviewReason.RESTORED)
    assert client.simulate_get("/status/job").json["status"] == "review"
    for approved in (1, 0):
        answer = client.simulate_post("/jobs/approve-restored")
        assert (answer.status_code, answer.json) == (200, {"approved": approved, "left": 0})
    assert client.simulate_get("/status/job").json["status"] == "publishing"
