"""The preview of a part on each platform, and the frame of its cover."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend import samples
from tests.frontend.browser import Browser
from tests.frontend.stand_in import StandIn
from tests.frontend.test_eyes import film
from tests.frontend.test_status import open_job

__all__ = ["film"]  # a fixture


def preview(page: Browser, api: StandIn, film: bytes, **post: Any) -> None:
    api.video = film
    job = samples.in_words()
    job["segments"][1]["publications"][0] |= {
        "platform": "instagram", "own_words": {"title": None, "caption": None, "options": {"share_to_feed": False}},
        "caption": "\n".join(["A caption of many lines"] * 6), **post,
    }  # fmt: skip
    open_job(page, api, job)
    page.click("[data-key=part-2] [data-tool=preview]")
    page.find(".phone-text")


def choose(page: Browser, value: str) -> None:
    page.run(
        "const select = document.querySelector('.tool-preview [name=post]'); select.value = arguments[0];"
        "select.dispatchEvent(new Event('input', { bubbles: true }))",
        value,
    )


def test_the_caption_is_cut_and_the_buttons_cover_the_picture(page: Browser, api: StandIn, film: bytes) -> None:
    preview(page, api, film)
    lines = "const text = arguments[0]; return text.clientHeight / parseFloat(getComputedStyle(text).lineHeight)"
    assert page.run(lines.replace("arguments[0]", "document.querySelector('.phone-text')")) == pytest.approx(
        1, abs=0.2
    ), "Instagram shows one line"
    assert page.run("return document.querySelectorAll('.zone').length") == 3
    choose(page, "y2")
    assert page.text(".phone-text") == "Five habits — Part 2/3", "YouTube shows the title"


def test_a_frame_becomes_the_cover_and_other_options_stay(page: Browser, api: StandIn, film: bytes) -> None:
    preview(page, api, film)
    page.until("the frames", lambda: page.run("return document.querySelectorAll('.frame').length === 8"))
    page.click(".frame:nth-child(5)")
    page.click("[data-do=cover]")
    page.until_text(".tool-preview [data-key=said]", "The cover is chosen.")
    assert api.changed == [("/publications/t2", {"options": {"share_to_feed": False, "cover_s": 2.25}})]


def test_a_cover_is_offered_where_the_platform_takes_it(page: Browser, api: StandIn, film: bytes) -> None:
    """YouTube takes none for Shorts, TikTok none for drafts, and a post that has begun none any more."""
    preview(page, api, film)
    page.find("[data-do=cover]")
    choose(page, "y2")
    page.until("no offer", lambda: not page.visible("[data-do=cover]"))
    preview(page, api, film, platform="tiktok", id="t2b")
    page.until("the limits", lambda: ("GET", "/limits", 200) in api.asked)
    assert not page.visible("[data-do=cover]")
    preview(page, api, film, editable=False)
    assert not page.visible("[data-do=cover]")
