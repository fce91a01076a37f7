"""Words and options of posts over HTTP: PATCH, the status document, and the limits."""

from __future__ import annotations

from typing import Any

import pytest
from falcon.testing import TestClient

from api.context import Context
from platforms.registry import PLATFORMS
from store import accounts, jobs, publication_queue, publications, segments
from store.states import JobStatus, SegmentStatus
from tests.store import rows

POST = "job-1-youtube-1"


@pytest.fixture
def planned(context: Context) -> Context:
    """A job with two parts on YouTube and TikTok."""
    parts = [rows.segment(number, status=SegmentStatus.READY) for number in (1, 2)]
    owners = [rows.account("youtube-1", "youtube"), rows.account()]
    with context.store.writing() as connection:
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
    with planned.store.writing() as connection:
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
    with context.store.writing() as connection:
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
