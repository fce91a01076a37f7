"""Every refusal that a user can see names a cause and a next step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.error_table import ErrorMeaning
from platforms.errors import MAX_QUOTED_CHARS, PlatformError, Rejected, quotable
from platforms.http.client import Response
from platforms.instagram.api import BY_CODE, BY_SUBCODE, GraphFailure, GraphRefusal
from platforms.next_steps import NEXT_STEPS, next_step
from platforms.tiktok import api as tiktok
from platforms.youtube import api as youtube
from tests.platforms.test_error_codes import _codes

ROOT = Path(__file__).resolve().parents[2]
TABLES: dict[str, Mapping[Any, ErrorMeaning]] = {  # Any: codes of several types
    "YouTube": youtube.ERRORS,
    "TikTok": tiktok.ERRORS,
    "TikTok job": tiktok.FAIL_ERRORS,
    "Instagram": BY_CODE,
    "Instagram subcode": BY_SUBCODE,
}
LISTED = [(name, str(code), meaning) for name, table in TABLES.items() for code, meaning in table.items()]
TOKEN = "EAAB" + "x1Y" * 30


@pytest.mark.parametrize(("name", "code", "meaning"), LISTED, ids=[f"{name} {code}" for name, code, _ in LISTED])
def test_every_listed_refusal_has_a_cause_and_a_step(name: str, code: str, meaning: ErrorMeaning) -> None:
    """The cause is a sentence about this refusal, with the platform's code and words; the step says what to do."""
    error = meaning.error(platform_code=code, text="The words of the platform.")
    assert error.reason == f"{error.detail} (“The words of the platform”, code {code})"
    assert len(error.detail.split()) >= 4
    assert error.code in NEXT_STEPS, name


def test_every_code_of_the_package_and_of_the_product_has_a_step() -> None:
    assert set(_codes()) <= NEXT_STEPS.keys()
    given_by_product = set()
    for path in [*(ROOT / "actors").rglob("*.py"), *(ROOT / "store").rglob("*.py")]:
        given_by_product |= set(re.findall(r'\b(?:PostFailed|OutcomeUnknown|Reconnect)\("(\w+)"', path.read_text()))
    assert given_by_product <= NEXT_STEPS.keys()
    assert {"held", "part_failed", "expired", "gave_up", "file_missing", "platform_paused"} <= NEXT_STEPS.keys()


@pytest.mark.parametrize("step", sorted(set(NEXT_STEPS.values())))
def test_a_step_is_one_plain_sentence(step: str) -> None:
    assert step[0].isupper()
    assert step.endswith(".")
    assert 4 <= len(step.split()) <= 30
    assert next_step("never heard of").startswith("Retry")


def _answer(body: str, status: int = 400) -> Response:
    return Response(status, {}, body.encode())


def test_the_words_of_each_platform_are_quoted() -> None:
    google = _answer('{"error": {"code": 400, "message": "It is empty.", "errors": [{"reason": "invalidTitle"}]}}')
    assert youtube.refusal(google, 0.0).reason == (
        "YouTube did not accept the title of this video (“It is empty”, code invalidTitle)"
    )
    unlisted = _answer('{"error": {"code": 400, "message": "Shorts are closed.", "errors": [{"reason": "newRule"}]}}')
    assert youtube.refusal(unlisted, 0.0).reason == (
        "YouTube did not accept this post (“Shorts are closed”, code newRule)"
    )
    meta = _answer('{"error": {"code": 77, "message": "Internal.", "error_user_msg": "Please use a shorter video."}}')
    refused = GraphRefusal(GraphFailure.model_validate_json(meta.body).error, meta).error()
    assert refused.reason == "Instagram did not accept this post (“Please use a shorter video”, code 77)"


@pytest.mark.parametrize("reason", sorted(youtube.REFUSED_VIDEOS))
def test_a_video_that_youtube_refuses_has_its_own_cause(reason: str) -> None:
    assert youtube.REFUSED_VIDEOS[reason].startswith("YouTube ")
    assert len(set(youtube.REFUSED_VIDEOS.values())) == len(youtube.REFUSED_VIDEOS)


def test_a_quotation_has_no_token_no_address_and_no_invisible_text() -> None:
    text = (
        f"Bad token {TOKEN} at https://graph.example/v1?access_token={TOKEN}\n\x00and \u202etxet\u200b www.x.example/y"
    )
    assert quotable(text) == "Bad token … at … and txet …"
    assert quotable(None) is quotable("") is quotable(" \n\u200b") is None
    assert Rejected("refused", "YouTube did not accept this post").reason == "YouTube did not accept this post"


def test_a_quotation_has_no_markup() -> None:
    """YouTube's words about its quota have a link in HTML."""
    text = 'You have exceeded your <a href="/youtube/v3/getting-started#quota">quota</a>.'
    assert quotable(text) == "You have exceeded your quota"
    assert quotable("a < b and c > d") == "a < b and c > d"


@given(st.text(max_size=3000))
def test_whatever_a_platform_says_is_one_short_line(text: str) -> None:
    quoted = quotable(text)
    if quoted is not None:
        assert len(quoted) <= MAX_QUOTED_CHARS
        assert quoted == " ".join(quoted.split())
        assert "“" not in quoted
        assert not re.search(r"[\x00-\x1f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", quoted)
        assert not re.search(r"\S{41}", quoted)
        assert PlatformError("x", "y", platform_text=quoted).reason == f"y (“{quoted}”)"
