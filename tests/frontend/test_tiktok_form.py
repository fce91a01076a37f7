"""TikTok's part of the upload's form, in a real browser: what its content sharing guidelines demand of direct posts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.context import Context
from platforms.tiktok.options import BRANDED_CONSENT, CONSENT, CONSENT_VERSION, REQUIRED, TikTokOptions
from store import jobs
from store.owners import DEFAULT_OWNER
from tests.api.conftest import KEY, VIDEO, clock, connect, context, serving, with_settings
from tests.frontend.browser import READY, Browser
from tests.frontend.stand_in import StandIn
from tests.frontend.uploading import records

__all__ = ["clock", "context"]  # fixtures

BOXES = ("allow_comment", "allow_duet", "allow_stitch", "tiktok-disclose", "tiktok-consent")
AUDIENCES = {"public": "Everyone", "friends": "Friends", "followers": "Followers", "private": "Only you"}
"""What a person types to choose it."""
CHOICE = "Who can see it on TikTok?"


@pytest.fixture
def direct(api: StandIn) -> StandIn:
    """The stand-in of a server that posts directly on TikTok."""
    api.tiktok_requires = list(REQUIRED)
    return api


def choose(page: Browser, api: StandIn, clip: Path) -> None:
    page.open(api.url).find(READY)
    page.choose_file("#file", clip)
    page.find("#tiktok-privacy")


def audience(page: Browser, value: str) -> None:
    page.fill("#tiktok-privacy", AUDIENCES[value])
    page.until("the choice", lambda: page.run("return document.querySelector('#tiktok-privacy').value") == value)


def sent(api: StandIn) -> dict[str, Any]:
    """Return the options of the only upload, as the API reads them."""
    [upload] = api.uploads
    found: dict[str, Any] = json.loads(upload["options"])["tiktok"]
    TikTokOptions.model_validate(found)
    return found


def ticked(page: Browser, *ids: str) -> list[bool]:
    return [page.run("return document.getElementById(arguments[0]).checked", one) for one in ids]


def test_nothing_is_chosen_for_the_person_and_each_missing_choice_is_shown_beside_it(
    page: Browser, direct: StandIn, clip: Path
) -> None:
    choose(page, direct, clip)
    assert CHOICE in page.text("#tiktok")
    assert page.run("return document.querySelector('#tiktok-privacy').value") == ""
    assert ticked(page, *BOXES) == [False] * 5

    page.click("#upload-start")
    page.until_text("#tiktok-privacy-error", "Please choose who can see it.")
    assert page.run("return document.activeElement.id") == "tiktok-privacy"
    audience(page, "friends")
    page.until("the end of the refusal", lambda: page.text_content("#tiktok-privacy-error") == "")
    page.click("#upload-start")
    page.until_text("#tiktok-consent-error", "TikTok needs your consent.")
    assert page.run("return document.activeElement.id") == "tiktok-consent"
    assert direct.uploads == []

    page.click("#tiktok-consent")
    page.click("#upload-start")
    page.find("#job h1")
    assert sent(direct) == {"privacy": "friends", "consent": CONSENT_VERSION}


def test_what_is_allowed_and_advertised_is_sent(page: Browser, direct: StandIn, clip: Path) -> None:
    """Branded content is never private, and has a consent of its own."""
    choose(page, direct, clip)
    audience(page, "private")
    page.click("#allow_comment")
    page.click("#tiktok-consent")
    assert page.text("#tiktok-sentence") == CONSENT
    page.click("#tiktok-disclose")
    page.click("#own_brand")
    page.until_text("#tiktok-label", "labeled as “Promotional content”")
    assert ticked(page, "tiktok-consent") == [True]

    page.click("#brand_content")
    page.until_text("#tiktok-label", "labeled as “Paid partnership”")
    assert page.text("#tiktok-sentence") == BRANDED_CONSENT
    assert ticked(page, "tiktok-consent") == [False]
    assert page.run("return document.querySelector('#tiktok-privacy').value") == ""
    assert page.run("return document.querySelector('#tiktok-privacy [value=private]').disabled")
    page.until_text("#tiktok-privacy-hint", "Branded content visibility cannot be set to private.")

    audience(page, "public")
    page.click("#tiktok-consent")
    page.click("#upload-start")
    page.find("#job h1")
    expected = {"privacy": "public", "consent": CONSENT_VERSION, "allow_comment": True}
    assert sent(direct) == expected | {"own_brand": True, "brand_content": True}


def test_a_disclosure_says_whom_the_video_promotes(page: Browser, direct: StandIn, clip: Path) -> None:
    choose(page, direct, clip)
    audience(page, "public")
    page.click("#tiktok-consent")
    page.click("#tiktok-disclose")
    page.click("#upload-start")
    page.until_text(
        "#own_brand-error", "You need to indicate if your content promotes yourself, a third party, or both."
    )
    assert direct.uploads == []


def test_the_choice_is_asked_for_only_where_tiktok_is_chosen(page: Browser, direct: StandIn, clip: Path) -> None:
    choose(page, direct, clip)
    audience(page, "public")
    page.click("#platform-choices [value=tiktok]")
    page.until("the panel hidden", lambda: not page.visible("#tiktok"))
    page.click("#upload-start")
    page.find("#job h1")
    assert [list(upload) for upload in direct.uploads] == [["platforms", "gaze_intensity", "file"]]


def test_only_what_the_creator_allows_can_be_chosen(page: Browser, direct: StandIn, clip: Path) -> None:
    direct.creator |= {"privacies": ["private"], "comment_allowed": False}
    choose(page, direct, clip)
    page.until_text("#tiktok-creator", "Posts as Mara (@mara.talks). Switched off in TikTok: comments.")
    disabled = "return [...document.querySelectorAll('#tiktok :disabled')].map((one) => one.id || one.value)"
    assert page.run(disabled) == ["public", "friends", "followers", "allow_comment"]
    audience(page, "private")
    page.click("#tiktok-consent")
    page.click("#upload-start")
    page.find("#job h1")
    assert sent(direct) == {"privacy": "private", "consent": CONSENT_VERSION}


def test_drafts_need_no_choice(page: Browser, api: StandIn, clip: Path) -> None:
    page.open(api.url).find(READY)
    page.choose_file("#file", clip)
    page.until("the answer", lambda: ("GET", "/limits", 200) in api.asked)
    page.click("#upload-start")
    page.find("#job h1")
    assert "options" not in api.uploads[0]
    assert not page.visible("#tiktok")


def test_choices_survive_a_reload_and_end_with_their_video(page: Browser, direct: StandIn, clip: Path) -> None:
    choose(page, direct, clip)
    audience(page, "followers")
    page.click("#allow_duet")
    page.click("#tiktok-consent")
    page.until("the record", lambda: "consent" in records(page)[0]["fields"]["tiktok"])
    page.open(direct.url).find("#tiktok-privacy")
    assert ticked(page, "allow_duet", "allow_comment", "tiktok-consent") == [True, False, True]
    page.click("#upload-start")
    page.find("#job h1")
    assert sent(direct) == {"privacy": "followers", "consent": CONSENT_VERSION, "allow_duet": True}

    page.click("nav a[href='/new']")
    clip.write_bytes(b"another" * 1000)
    page.choose_file("#file", clip)
    page.find("#tiktok-privacy")
    assert page.run("return document.querySelector('#tiktok-privacy').value") == ""
    assert ticked(page, *BOXES) == [False] * 5


def test_a_consent_is_not_taken_for_a_video_chosen_while_another_one_is_sent(
    page: Browser, direct: StandIn, clip: Path
) -> None:
    clip.write_bytes(bytes(20_000_000))
    page.open(direct.url).find(READY)
    page.upload_at(400_000)
    page.choose_file("#file", clip)
    page.find("#tiktok-privacy")
    audience(page, "public")
    page.click("#tiktok-consent")
    page.click("#upload-start")
    page.find("#starting")
    other = clip.with_name("other.mp4")
    other.write_bytes(b"another" * 1000)
    page.choose_file("#file", other)
    page.find("#tiktok-privacy")
    assert page.run("return document.querySelector('#tiktok-privacy').value") == ""
    assert ticked(page, "tiktok-consent") == [False]
    page.upload_at(-1)


def test_limits_that_cannot_be_loaded_are_asked_for_again_when_the_choice_is_missed(
    page: Browser, direct: StandIn, clip: Path
) -> None:
    direct.problems = {"GET /limits": (503, "the server is busy")}
    direct.options_problem = (422, "options", "TikTok needs a choice of the creator: privacy, consent")
    page.open(direct.url).find(READY)
    page.choose_file("#file", clip)
    page.until("the answer", lambda: ("GET", "/limits", 503) in direct.asked)
    direct.problems = {}
    page.click("#upload-start")
    page.until_text("#details-error", "TikTok needs a choice of the creator")
    page.find("#tiktok-privacy")
    direct.options_problem = None
    audience(page, "public")
    page.click("#tiktok-consent")
    page.click("#upload-start")
    page.find("#job h1")
    assert sent(direct) == {"privacy": "public", "consent": CONSENT_VERSION}
    assert set(page.refusals()) == {"/limits 503", "/files/upload-1 422"}


@pytest.fixture
def real(window: Browser, context: Context) -> Iterator[Browser]:
    """The page of a real server in production that posts directly, signed in."""
    connect(context, "tiktok")
    window.reset()
    with serving(with_settings(context, tiktok_mode="direct", environment="production")) as root:
        window.open(root)
        window.fill("#key", KEY)
        window.click("#sign-in button")
        yield window
        window.leave()


def test_the_real_api_takes_the_choice(real: Browser, context: Context, tmp_path: Path) -> None:
    clip = tmp_path / "talk.mp4"
    clip.write_bytes(VIDEO)
    real.find(READY)
    real.choose_file("#file", clip)
    audience(real, "friends")
    real.click("#tiktok-consent")
    real.click("#upload-start")
    real.find("#job h1")
    with context.store.reading() as connection:
        [job] = jobs.page(connection, DEFAULT_OWNER, limit=9)
    assert job.post_options is not None
    chosen = job.post_options["tiktok"]
    assert {"privacy": "friends", "consent": CONSENT_VERSION} == {name: chosen[name] for name in REQUIRED}
    assert "consented_at" in chosen
