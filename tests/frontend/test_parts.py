"""The parts of a long video: dates of waiting posts, filters, rows, and the size of the page."""

from tests.frontend import samples
from tests.frontend.browser import PHONE, Browser
from tests.frontend.stand_in import StandIn
from tests.frontend.test_status import open_job, part

MAX_NODES = 1500
MAX_HEIGHT_PX = 20_000
ROW = "[data-key=part-{}] .row-head"


def opened(page: Browser) -> list[int]:
    script = "return [...document.querySelectorAll('.row-head[aria-expanded=true]')].map((row) => +row.dataset.part)"
    return [int(number) for number in page.run(script)]


def numbers(page: Browser) -> list[int]:
    """Return the numbers of the parts in the list."""
    script = "return [...document.querySelectorAll('.row-head')].map((row) => Number(row.dataset.part))"
    return [int(number) for number in page.run(script)]


def focused(page: Browser) -> str:
    return str(page.run("return document.activeElement.dataset.part ?? document.activeElement.id"))


def test_a_job_that_waits_says_when_and_for_what(page: Browser, api: StandIn) -> None:
    """A job that has nothing to do before tomorrow is scheduled; it does not stand at 92 % of something."""
    open_job(page, api, samples.scheduled())
    assert "Scheduled · 26 Nov 2099 08:00" in page.text("[data-key=head]")
    assert "Next: TikTok, 26 Nov 2099 at 08:00. All out by 27 Nov 2099 09:00." in page.text("#job .lead")
    assert not page.visible("#job progress")
    assert "92" not in page.text("#job")
    assert "Goes out 26 Nov 2099 at 08:00, when the upload window opens." in part(page, 1)
    assert "Goes out 26 Nov 2099 at 09:00, after part 1." in part(page, 2)
    page.until_text(
        "[data-key=part-3]", "Goes out 27 Nov 2099 at 09:00, because the limit of posts a day on TikTok is reached."
    )
    assert "Goes out when YouTube works again." in part(page, 4)


def test_the_list_of_videos_shows_the_dates_too(page: Browser, api: StandIn) -> None:
    api.add_job(samples.scheduled())
    page.open(f"{api.url}videos").until_text("#recent", "Scheduled")
    assert "Next 26 Nov 2099 08:00, all out by 27 Nov 2099 09:00" in page.text("#recent")
    assert "%" not in page.text("#recent")


def test_the_list_says_which_videos_only_a_person_can_move(page: Browser, api: StandIn) -> None:
    blocked = {"phase": "blocked", "next_at": None, "last_at": None}
    for number, posts in enumerate(({"failed": 1, "waiting": 2}, {"failed": 0, "waiting": 2})):
        api.add_job(samples.job(f"job-{number}", "publishing", 0.9, []) | blocked | {"posts": posts})
    page.open(f"{api.url}videos").find("#recent li")
    pills = page.run("return [...document.querySelectorAll('#recent .pill')].map((pill) => pill.textContent)")
    assert pills == ["Waiting", "Waiting for you"]


def test_a_server_that_forecasts_nothing_leaves_no_date(page: Browser, api: StandIn) -> None:
    job = samples.scheduled() | {"phase": "publishing", "next_at": None, "last_at": None}
    for segment in job["segments"]:
        segment["publications"][0] |= {"expected_at": None, "waits_for": None}
    open_job(page, api, job)
    assert "0 of 4 posts published." == page.text("#job .lead")
    assert "Publishing" in page.text("[data-key=head]")
    assert "Goes out" not in page.text("#job")


def test_progress_is_shown_while_a_post_is_sent(page: Browser, api: StandIn) -> None:
    job = samples.scheduled()
    job["segments"][0]["publications"][0] |= {"status": "publishing"}
    open_job(page, api, job)
    assert page.visible("#job progress")
    assert "Publishing" in page.text("[data-key=head]")


def test_a_job_that_only_a_person_can_move_says_so(page: Browser, api: StandIn) -> None:
    job = samples.scheduled() | {"next_at": None, "last_at": None}
    for segment in job["segments"]:
        segment["publications"] = [samples.publication("tiktok", "waiting", code="reconnect_needed")]
    open_job(page, api, job)
    assert "Waiting for you" in page.text("[data-key=head]")
    assert "4 posts need you." in page.text("#job .lead")
    assert "Connect TikTok again; the post then goes out by itself." in page.text("[data-key=part-1]")
    assert page.text("[data-key=part-1] [data-key=connect]") == "Connect TikTok again"
    link = "return document.querySelector('[data-key=part-1] [data-key=connect]').getAttribute('href')"
    assert page.run(link) == "/connect/tiktok"


def test_two_hundred_parts_make_a_page_that_a_phone_can_bear(page: Browser, api: StandIn) -> None:
    page.show_on(PHONE)
    open_job(page, api, samples.long())
    page.find(ROW.format(200))
    assert page.run("return document.querySelectorAll('*').length") <= MAX_NODES
    assert page.run("return document.documentElement.scrollHeight") <= MAX_HEIGHT_PX
    assert numbers(page) == list(range(1, 201)), "all of them are in the page, where the browser's search finds them"


def test_filters_count_and_show_the_parts(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.long())
    said = page.text("[data-key=filters]").split("\n")
    assert said == ["All · 200", "Needs you · 2", "Failed · 1", "Scheduled · 160", "Published · 40"]
    assert "2 posts need you." in page.text("#job .lead")
    page.click("[data-filter=needs_you]")
    assert numbers(page) == [41, 42] == opened(page), "a few are shown whole"
    assert page.run("return document.querySelector('#announcer').textContent") == "Needs you: 2 of 200 parts."
    page.click("[data-filter=failed]")
    assert numbers(page) == [43]
    assert "TikTok cannot use this video file. Error code: video_refused" in part(page, 43)
    page.click("[data-filter=published]")
    assert numbers(page) == list(range(1, 41))
    assert opened(page) == []
    page.click("[data-filter=all]")
    assert len(numbers(page)) == 200
    assert opened(page) == [41, 42, 43]


def test_a_row_opens_and_closes_by_keyboard(page: Browser, api: StandIn) -> None:
    open_job(page, api, samples.long())
    assert page.text(ROW.format(44)).replace("\xa0", " ").split("\n") == [
        "Part 44",
        "TikTok: 26 Nov 2099 08:00, after part 43",
        "Scheduled",
    ]
    page.run("document.querySelector('[data-key=part-44] .row-head').focus()")
    page.press("\ue007")  # enter
    page.until_text("[data-key=part-44]", "Goes out 26 Nov 2099 at 08:00, after part 43.")
    assert focused(page) == "44"
    page.press("\ue007")
    page.until("the row to close", lambda: opened(page) == [])
    assert focused(page) == "44"


def test_a_poll_keeps_the_place_and_the_focus_in_a_long_list(page: Browser, api: StandIn) -> None:
    """Rows before the focused one leave the filter and others come after it: it must not be moved or made anew."""
    job = samples.long()
    open_job(page, api, job)
    page.click("[data-filter=scheduled]")
    page.run("document.querySelector('[data-key=part-60] .row-head').focus()")
    page.run("window.marked = document.activeElement; window.scrollTo(0, 900)")
    for number in (44, 45):
        for post in job["segments"][number - 1]["publications"]:
            post |= {"status": "published"}
    job["segments"][39]["publications"][0] |= {"status": "waiting"}
    page.until("the poll", lambda: 40 in numbers(page))
    assert 44 not in numbers(page)
    assert page.run("return document.activeElement === window.marked")
    assert abs(page.run("return window.scrollY") - 900) < 200, "only by the rows that are gone"


def test_a_focused_part_that_leaves_the_filter_leaves_the_focus_in_the_list(page: Browser, api: StandIn) -> None:
    job = samples.long()
    open_job(page, api, job)
    page.click("[data-filter=failed]")
    page.click("[data-key=part-43] [data-action=skip]")
    page.click("#question-yes")
    page.until_text("[data-key=none]", "No part is in this list any more.")
    assert focused(page) == "parts-title"
    assert "Failed · 0" in page.text("[data-key=filters]"), "the chosen filter stays"
