"""The review of a video: parts are approved, and posts held, moved, published at once and skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.context import Context
from store import jobs, segments
from tests.api.conftest import clock, context
from tests.api.test_plans import planned
from tests.frontend import samples
from tests.frontend.browser import Browser
from tests.frontend.real_api import signed_in
from tests.frontend.stand_in import Refusal, StandIn
from tests.frontend.test_status import open_job, part

__all__ = ["clock", "context", "planned"]  # fixtures

DONE = ".tool [data-key=done]"


def in_review() -> dict[str, Any]:
    """Return a job of three parts that wait for approval."""
    parts = [
        samples.segment(number, 3, "ready", publications=[samples.publication("tiktok", "waiting", id=f"t{number}")])
        for number in (1, 2, 3)
    ]
    return samples.job("job-parts", "review", 0.76, parts, review={"reasons": ["requested"], "approved_at": None})


def open_post(page: Browser, api: StandIn, number: int = 1) -> None:
    open_job(page, api, samples.waiting())
    page.click(f"[data-key=part-{number}] [data-tool=post]")
    page.find(".tool [data-change=now]")


def test_parts_are_approved_one_by_one(page: Browser, api: StandIn) -> None:
    open_job(page, api, in_review())
    page.click("[data-key=part-2] [data-action=approvePart]")
    page.until_text("[data-key=part-2]", "Approved")
    page.until_text("#job .lead", "3 of 3 parts ready. 1 approved; the others wait for you.")
    assert "Approved" not in part(page, 1)
    page.click("[data-key=part-1] [data-action=approvePart]")
    page.until_text("[data-key=part-1]", "Approved")
    page.click("[data-action=approve]")
    page.until("the end of the review", lambda: not page.visible("[data-key=review]"))
    assert api.approved == [[2], [1], None]
    assert not page.visible("[data-action=approvePart]")


def test_a_post_is_held_and_released(page: Browser, api: StandIn) -> None:
    open_post(page, api)
    page.click("[data-change=hold]")
    page.until_text(".tool [data-key=note]", "does not go out until you release it")
    assert page.run("return document.activeElement.tagName") == "H3"
    page.press("\ue00c")  # escape
    page.until_text("[data-key=part-1] .posts", "Goes out when you release it.")
    page.click("[data-key=part-1] [data-tool=post]")
    page.click("[data-change=release]")
    page.until_text(".tool .pill", "Scheduled")
    assert api.changed == [("/publications/w1", {"held": True}), ("/publications/w1", {"held": False})]


def test_a_post_goes_out_at_once_after_a_question(page: Browser, api: StandIn) -> None:
    """Back, and the end of the question, close the question only."""
    open_post(page, api)
    page.click("[data-change=now]")
    page.until_text("#question-text", "cannot be called back")
    page.run("history.back()")
    page.until("the question closed", lambda: not page.visible("#question"))
    assert page.visible("#viewer")
    page.click("[data-change=now]")
    page.click("#question-no")
    page.until("the question closed", lambda: not page.visible("#question"))
    assert page.visible("#viewer")
    assert api.changed == []
    page.click("[data-change=now]")
    page.click("#question-yes")
    page.until("the request", lambda: api.changed == [("/publications/w1", {"publish_now": True})])
    page.until_text(DONE, "It goes out next.")
    page.run("history.back()")
    page.until("the window closed", lambda: not page.visible("#viewer"))
    assert page.run("return location.pathname") == "/videos/job-scheduled"


def test_a_post_and_those_after_it_are_moved_in_the_readers_zone(page: Browser, api: StandIn) -> None:
    open_post(page, api)
    page.devtools("Emulation.setTimezoneOverride", timezoneId="America/New_York")
    try:
        page.run("document.querySelector('#move-at').value = '2099-12-01T10:30'")
        page.click(".tool [name=following]")
        page.until_text(".tool [data-key=edited]", "Not moved yet.")
        page.click(".tool [data-key=move] button")
        page.until_text(DONE, "Moved.")
        assert page.text_content(".tool [data-key=edited]") == ""
    finally:
        page.devtools("Emulation.setTimezoneOverride", timezoneId="")
    moved = {"publish_after": "2099-12-01T15:30:00.000Z", "shift_following": True}
    assert api.changed == [("/publications/w1", moved)]
    page.click("[data-change=back]")
    page.until_text(DONE, "Back to the schedule.")
    assert api.changed[-1] == ("/publications/w1", {"publish_after": None})


def test_a_move_that_breaks_the_order_is_refused_in_words(page: Browser, api: StandIn) -> None:
    open_post(page, api)
    api.refusals["PATCH /publications/w1"] = Refusal(
        409, title="Conflict", description="part 2 would go out before part 1", kind="out_of_order"
    )
    page.click(".tool [data-key=move] button")
    page.until_text(".tool [data-key=refusal]", "Part 2 would go out before part 1.")
    assert page.refusals() == ["/publications/w1 409"]


def test_a_post_that_is_over_tells_its_history_at_once(page: Browser, api: StandIn) -> None:
    job = samples.waiting()
    job["segments"][0]["publications"][0] |= {"status": "published", "link": "https://tiktok.example/1"}
    api.histories["w1"] = samples.history()
    open_job(page, api, job)
    assert page.text("[data-key=part-1] [data-tool=post]") == "History"
    page.click("[data-key=part-1] [data-tool=post]")
    page.until_text(".history", "Evidence 22 Nov at 10:04: TikTok says that it is out.")
    page.until_text(".history", "HTTP 200 · 132 ms · publish_id: v_pub_file~v2.7300000000")
    page.until_text(".history", "7 times until 22 Nov at 10:04")
    assert not page.visible("[data-change]")


def test_all_parts_are_one_download(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.waiting())
    link = "const {pathname, download} = document.querySelector(arguments[0]); return [pathname, download]"
    assert page.run(link, "[data-key=archive]") == ["/jobs/job-scheduled/videos.zip", ""]
    assert page.run(link, "[data-key=part-2] [data-key=download]") == [
        "/jobs/job-scheduled/segments/2/video",
        "part-02.mp4",
    ]


def test_a_post_of_a_part_that_is_not_approved_is_not_offered_at_once(page: Browser, api: StandIn) -> None:
    job = samples.waiting() | {"review": {"reasons": ["requested"], "approved_at": None}}
    job["segments"][0]["approved"] = False
    open_job(page, api, job)
    page.click("[data-key=part-1] [data-tool=post]")
    page.until_text(".tool [data-key=choices]", "To publish it now, approve its part first.")
    assert not page.visible(".tool [data-change=now]")


@pytest.mark.parametrize(
    ("state", "until"), [({"waits_for": "approval"}, "after your approval"), ({"held": True}, "when you release it")]
)
def test_a_moved_post_tells_its_time_before_it_may_go_out(
    page: Browser, api: StandIn, state: dict[str, Any], until: str
) -> None:
    job = samples.waiting()
    job["segments"][0]["publications"][0] |= {
        "expected_at": None, "due_at": None, "code": None, "publish_after": "2099-01-02T18:00:00Z", **state
    }  # fmt: skip
    open_job(page, api, job)
    page.until_text("[data-key=part-1] .posts", f"at the earliest, {until}.")
    assert "2099" in page.text("[data-key=part-1] .posts")


def test_a_post_is_skipped(page: Browser, api: StandIn) -> None:
    open_post(page, api)
    page.click("[data-change=skip]")
    page.click("#question-yes")
    page.until_text(".tool .pill", "Cancelled")
    assert not page.visible("[data-change=hold]")


def test_a_video_is_held_and_released(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.waiting(held=False))
    page.click("[data-action=hold]")
    page.click("[data-action=release]")
    page.find("[data-action=hold]")
    assert api.changed == [("/jobs/job-scheduled", {"held": True}), ("/jobs/job-scheduled", {"held": False})]


@pytest.fixture
def real(window: Browser, planned: Context) -> Iterator[Browser]:
    """The page of the real API, signed in, with a job of three parts that waits for approval."""
    with planned.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("UPDATE jobs SET review_reasons = '[\"requested\"]'")
    with signed_in(window, planned, "videos/job", "#job-title") as opened:
        yield opened


def test_the_real_api_approves_holds_and_publishes_at_once(real: Browser, planned: Context) -> None:
    real.click("[data-key=part-2] [data-action=approvePart]")
    real.until_text("[data-key=part-2]", "Approved")
    real.click("[data-action=approve]")
    real.until("the end of the review", lambda: not real.visible("[data-key=review]"))
    real.click("[data-key=part-2] [data-tool=post]")
    real.click("[data-change=hold]")
    real.until_text(".tool .pill", "On hold")
    real.click("[data-change=release]")
    real.until_text(DONE, "Released.")
    real.press("\ue00c")  # escape
    real.until("the window closed", lambda: not real.visible("#viewer"))
    real.click("[data-key=part-3] [data-tool=post]")
    real.run("document.querySelector('#move-at').value = '2026-12-01T10:30'")
    real.click(".tool [data-key=move] button")
    real.until_text(DONE, "Moved.")
    real.click("[data-change=now]")
    real.click("#question-yes")
    real.until_text(".tool [data-key=refusal]", "is not out")
    with planned.store.reading() as connection:
        made = [(segment.approved_at is not None) for segment in segments.of_job(connection, "job")]
        job = jobs.get(connection, "job")
    assert made[1]
    assert job is not None
    assert job.approved_at is not None
    assert "/publications/job-3-tiktok-1 409" in real.refusals()
