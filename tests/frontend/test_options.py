"""The editor of the options of posts: TikTok's panel with what its creator allows, and fields made from the schemas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.context import Context
from platforms.instagram.options import InstagramOptions
from platforms.tiktok.options import CONSENT_VERSION, TikTokOptions
from platforms.youtube.options import YouTubeOptions
from store import jobs, post_settings
from store.states import JobStatus
from tests.api.conftest import clock, context
from tests.frontend import samples
from tests.frontend.browser import READY, Browser
from tests.frontend.real_api import real
from tests.frontend.stand_in import Refusal, StandIn
from tests.frontend.states import with_direct_posts
from tests.frontend.test_status import open_job
from tests.frontend.test_tiktok_form import ticked
from tests.frontend.test_words import module
from tests.store import rows

__all__ = ["clock", "context", "real"]  # fixtures

SWITCHED_OFF = {"allow_duet": False, "allow_stitch": False, "own_brand": False, "brand_content": False}
SAVE = ".tool [data-key=save] button"
WORDS = "return import(arguments[0]).then(({ OPTIONS }) => [OPTIONS.labels, OPTIONS.values])"


def a_job(**options: Any) -> dict[str, Any]:
    """Return a job whose posts on a platform have these options."""
    job = samples.in_words()
    for post in [post for part in job["segments"] for post in part["publications"]]:
        post["options"] = options.get(post["platform"], {})
    return job


def edit(page: Browser, api: StandIn, **options: Any) -> None:
    open_job(page, api, a_job(**options))
    page.click("#job [data-tool=options]")
    page.find(".tool fieldset")


def value(page: Browser, css: str) -> str:
    return str(page.run("return document.querySelector(arguments[0]).value", css))


def choose(page: Browser, css: str, chosen: str) -> None:
    page.run(
        "const select = document.querySelector(arguments[0]); select.value = arguments[1];"
        "select.dispatchEvent(new Event('input', { bubbles: true }))",
        css,
        chosen,
    )


def save(page: Browser) -> None:
    page.click(SAVE)
    page.until("the end", lambda: not page.visible("#viewer"))


def test_options_of_youtube_are_shown_and_saved(page: Browser, api: StandIn) -> None:
    edit(page, api, youtube={"privacy": "unlisted", "tags": ["calm", "public speaking"]})
    assert value(page, "[name='youtube.privacy']") == "unlisted"
    assert value(page, "[name='youtube.tags']") == "calm, public speaking"
    assert value(page, "[name='youtube.category']") == ""
    assert page.run("return document.querySelector(arguments[0]).disabled", SAVE)
    choose(page, "[name='youtube.category']", "27")
    page.click("[name='youtube.made_for_kids']")
    choose(page, "[name='youtube.tags']", "one,, two words ,")
    save(page)
    options = {"category": "27", "made_for_kids": True, "tags": ["one", "two words"]}
    assert api.changed == [("/jobs/job-words", {"platforms": {"youtube": {"options": options}}})]
    YouTubeOptions.model_validate(options)
    assert page.run("return document.activeElement.dataset.tool") == "options"

    page.click("#job [data-tool=options]")
    page.find(".tool fieldset")
    assert value(page, "[name='youtube.category']") == "27"
    choose(page, "[name='youtube.privacy']", "private")
    save(page)
    assert api.changed[-1][1]["platforms"]["youtube"]["options"] == options | {"privacy": "private"}, "others stay"


def test_options_of_instagram_begin_with_its_own_defaults(page: Browser, api: StandIn) -> None:
    job = samples.job("job-new", "processing", 0.1, [], platforms=["instagram"])
    open_job(page, api, job)
    page.click("#job [data-tool=options]")
    page.find("[name='instagram.share_to_feed']:checked")
    page.click("[name='instagram.share_to_feed']")
    page.fill("[name='instagram.collaborators']", "ada.l, grace_h")
    page.fill("[name='instagram.cover_s']", "1.5")
    save(page)
    options = {"share_to_feed": False, "collaborators": ["ada.l", "grace_h"], "cover_s": 1.5}
    assert api.changed == [("/jobs/job-new", {"platforms": {"instagram": {"options": options}}})]
    InstagramOptions.model_validate(options)


def test_every_option_and_every_choice_has_a_name(page: Browser, api: StandIn) -> None:
    page.open(api.url).find(READY)
    labels, values = page.run(WORDS, module(page, "video-words.js"))
    for model in (YouTubeOptions, InstagramOptions):
        for name, schema in model.model_json_schema()["properties"].items():
            assert name in labels, name
            named = set(values.get(name, {}))
            assert set(schema["anyOf"][0].get("enum", [])) <= named, name


def test_a_refusal_stands_beside_its_option(page: Browser, api: StandIn) -> None:
    edit(page, api)
    page.fill("[name='youtube.tags']", "a<b")
    api.refusals["PATCH /jobs/job-words"] = Refusal(
        422, title="Invalid", description="a tag has no <", field="platforms.youtube.options.tags"
    )
    page.click(SAVE)
    page.until_text("#option-youtube-tags-error", "A tag has no <.")
    assert page.run("return document.activeElement.name") == "youtube.tags"
    page.fill("[name='youtube.tags']", "c")
    page.until("its end", lambda: page.text_content("#option-youtube-tags-error") == "")
    api.refusals["PATCH /jobs/job-words"] = Refusal(409, title="Conflict", description="every post has begun")
    page.click(SAVE)
    page.until_text(".tool [data-key=refusal]", "Every post has begun.")
    assert page.refusals() == ["/jobs/job-words 422", "/jobs/job-words 409"]


def test_drafts_and_posts_that_have_begun_offer_nothing(page: Browser, api: StandIn) -> None:
    job = a_job()
    for part in job["segments"]:
        part["publications"][1]["editable"] = False
    open_job(page, api, job)
    page.click("#job [data-tool=options]")
    page.until_text(".tool [data-platform=youtube]", "They keep their options.")
    assert "VidProd sends drafts to TikTok." in page.text(".tool [data-platform=tiktok]")
    assert not page.visible(".tool fieldset input")


def test_the_choices_for_tiktok_are_those_that_the_creator_has(page: Browser, api: StandIn) -> None:
    with_direct_posts(api)
    api.creator["stitch_allowed"] = False
    edit(page, api, tiktok={"privacy": "friends", "consent": CONSENT_VERSION, "allow_duet": True, "consented_at": "x"})
    page.until_text("#job-tiktok-creator", "Posts as Mara (@mara.talks). Switched off in TikTok: duets, stitches.")
    assert value(page, "#job-tiktok-privacy") == "", "no longer allowed"
    assert ticked(page, "job-allow_comment", "job-allow_duet", "job-tiktok-consent") == [False, False, True]
    disabled = "return [...document.querySelectorAll('#job-tiktok :disabled')].map((one) => one.id || one.value)"
    assert page.run(disabled) == ["friends", "followers", "job-allow_duet", "job-allow_stitch"]
    page.click("#job-allow_comment")
    page.click(SAVE)
    page.until_text("#job-tiktok-privacy-error", "Please choose who can see it.")
    assert api.changed == []
    choose(page, "#job-tiktok-privacy", "private")
    save(page)
    options = SWITCHED_OFF | {"privacy": "private", "consent": CONSENT_VERSION, "allow_comment": True}
    assert api.changed == [("/jobs/job-words", {"platforms": {"tiktok": {"options": options}}})]
    TikTokOptions.model_validate(options)


def test_branded_content_in_the_tool_has_its_own_consent(page: Browser, api: StandIn) -> None:
    with_direct_posts(api)
    edit(page, api, tiktok={"privacy": "private", "consent": CONSENT_VERSION})
    page.until_text("#job-tiktok-creator", "Posts as")
    page.click("#job-tiktok-disclose")
    page.click("#job-brand_content")
    page.click(SAVE)
    page.until_text("#job-tiktok-privacy-error", "Please choose who can see it.")
    choose(page, "#job-tiktok-privacy", "public")
    page.click(SAVE)
    page.until_text("#job-tiktok-consent-error", "TikTok needs your consent.")
    page.click("#job-tiktok-consent")
    save(page)
    assert api.changed[0][1]["platforms"]["tiktok"]["options"]["brand_content"] is True


@pytest.mark.parametrize("status", [409, 503])
def test_without_an_answer_of_tiktok_all_choices_are_offered(page: Browser, api: StandIn, status: int) -> None:
    with_direct_posts(api)
    api.problems["GET /accounts/a1/creator"] = (status, "not now")
    edit(page, api)
    page.until_text("#job-tiktok-creator", "TikTok does not say at the moment what your account allows.")
    assert page.run("return document.querySelectorAll('#job-tiktok :disabled').length") == 0
    assert page.refusals() == [f"/accounts/a1/creator {status}"]


def test_the_real_api_takes_the_options(real: Browser, context: Context) -> None:
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, replace(rows.job(status=JobStatus.PROCESSING, parts=None), created_at=context.now()))
    real.run("location.hash = '#job=job'")
    real.click("#job [data-tool=options]")
    real.fill("[name='youtube.tags']", "a<b")
    real.click(SAVE)
    real.until_text("#option-youtube-tags-error", "pattern")
    real.run("document.querySelector(arguments[0]).value = ''", "[name='youtube.tags']")
    real.fill("[name='youtube.tags']", "calm, talk")
    save(real)
    with context.store.reading() as connection:
        [stored] = post_settings.of_job(connection, "job")
    assert (stored.target, stored.options) == ("youtube", {"tags": ["calm", "talk"]})
    assert real.refusals() == ["/jobs 401", "/jobs/job 422"]
