"""The page of what waits for a person, and its number on every page; in a real browser."""

import pytest

from tests.frontend import samples
from tests.frontend.browser import PHONE, READY, Browser
from tests.frontend.stand_in import StandIn

CARDS = "return [...document.querySelectorAll('.need h2')].map((title) => title.textContent)"


@pytest.fixture
def needs(page: Browser, api: StandIn) -> Browser:
    api.needs = samples.needs()
    page.open(f"{api.url}needs-you").find(".need")
    return page


def of(kind: str) -> str:
    return f"[data-key^='{kind} ']"


def test_the_number_is_on_every_page_and_is_that_of_the_list(page: Browser, api: StandIn) -> None:
    api.needs = samples.needs()
    page.show_on(PHONE).open(api.url).until_text("#needs", "11 Needs you")
    for name in ("videos", "calendar", "accounts", "settings"):
        page.click(f"nav a[href='/{name}']")
        assert page.text("#needs-count") == "11"
    page.click("#needs")
    page.until("the list", lambda: len(page.run(CARDS)) == 11)
    assert page.run("return document.title") == "Needs you · VidProd"


def test_without_anything_the_page_says_so_and_no_number_is_shown(page: Browser, api: StandIn) -> None:
    page.open(f"{api.url}needs-you").until_text("#needs-list", "Nothing needs you.")
    assert not page.visible("#needs")


def test_each_kind_is_said_in_words(needs: Browser) -> None:
    assert needs.run(CARDS) == [
        "The disk of the server is full",
        "Connect TikTok again",
        "YouTube does not let this account post",
        "Publish without sound?",
        "Is this video public already?",
        "Is it on TikTok?",
        "Finish the draft in the TikTok app",
        "Not published on TikTok",
        "2 parts could not be made",
        "A webhook is off",
        "An event was not sent to your system",
    ]
    assert "Five habits of calm speakers · part 2/5 · @mara.talks" in needs.text(of("outcome_unknown"))
    assert (
        needs.run("return document.querySelector('[data-key^=\"account \"] a').getAttribute('href')")
        == "/connect/tiktok"
    )
    assert needs.run("return document.querySelector('[data-key^=draft] .need-caption').dir") == "auto"


@pytest.mark.parametrize(("button", "status"), [("online", "published"), ("missing", "failed")])
def test_an_unknown_outcome_ends_with_the_word_of_a_person(
    needs: Browser, api: StandIn, button: str, status: str
) -> None:
    post = samples.publication("tiktok", "outcome_unknown", id="p2")
    api.add_job(samples.job("job-1", "publishing", 0.9, [samples.segment(1, 1, "ready", publications=[post])]))
    needs.click(f"{of('outcome_unknown')} [data-do=history]")
    needs.find(".need-history li")
    needs.click(f"{of('outcome_unknown')} [data-do={button}]")
    needs.find("#question")
    api.needs = api.needs[:2]
    needs.click("#question-yes")
    needs.until("the answer", lambda: post["status"] == status)
    needs.until_text("#needs-count", "2")
    assert len(needs.run(CARDS)) == 2


def test_the_caption_of_a_draft_is_copied(needs: Browser, api: StandIn) -> None:
    needs.devtools("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    needs.click(f"{of('draft')} [data-do=copy]")
    needs.until_text(of("draft"), "Copied.")
    assert needs.run("return navigator.clipboard.readText()").startswith("Part 3 of 5: breathe.\n#calm")


def test_what_was_given_up_is_tried_again(needs: Browser, api: StandIn) -> None:
    needs.click(f"{of('dead_letter')} button")
    needs.until("the card to go", lambda: len(needs.run(CARDS)) == 10)
    assert api.retried_letters == ["7"]
    assert needs.text("#needs-count") == "10"


def test_an_action_that_is_refused_says_why_at_its_card(needs: Browser, api: StandIn) -> None:
    api.problems["POST /publications/p4/retry"] = (409, "the video is published already")
    needs.click(f"{of('post_failed')} [data-do=repost]")
    needs.until_text(of("post_failed"), "The video is published already.")
    assert needs.refusals() == ["/publications/p4/retry 409"]


def test_an_unchanged_list_costs_an_answer_without_a_body(page: Browser, api: StandIn) -> None:
    api.needs = samples.needs()
    page.open(f"{api.url}needs-you").find(READY)
    with page.hidden():
        pass  # the page asks at once when it is shown again
    page.until("the second answer", lambda: ("GET", "/needs-you", 304) in api.asked)
    assert len(page.run(CARDS)) == 11
