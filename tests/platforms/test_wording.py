"""Titles and captions, with each platform's limits in its own units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.errors import Rejected
from platforms.registry import PLATFORMS
from platforms.wording import Wording, numbered_title


def compose(platform: str, title: str, caption: str, part: int, parts: int) -> Wording:
    return PLATFORMS[platform].compose(numbered_title(title, part, parts), caption)


@pytest.mark.parametrize(
    ("title", "part", "parts", "expected"),
    [
        ("Title", 2, 5, "Title — Part 2/5"),
        ("Title", 1, 1, "Title"),
        ("  Title ", 1, 2, "Title — Part 1/2"),
        ("", 3, 4, "Part 3/4"),
        ("", 1, 1, ""),
    ],
)
def test_a_part_carries_its_number(title: str, part: int, parts: int, expected: str) -> None:
    """A single part has no number."""
    assert numbered_title(title, part, parts) == expected


@pytest.mark.parametrize(
    ("platform", "title", "caption", "code"),
    [
        ("youtube", "x" * 101, "", "title_too_long"),
        ("youtube", "", "y", "title_missing"),
        ("youtube", "a <b>", "", "text_unusable"),
        ("youtube", "a", "b > c", "text_unusable"),
        ("youtube", "a", "é" * 2501, "caption_too_long"),
        ("tiktok", "a", "x" * 2198, "caption_too_long"),
        ("tiktok", "", "😀" * 1101, "caption_too_long"),
        ("instagram", "", "x" * 2201, "caption_too_long"),
        ("instagram", "", "#tag " * 31, "too_many_hashtags"),
        ("instagram", "", "".join(f"#tag{number}" for number in range(31)), "too_many_hashtags"),
        ("instagram", "", " ".join(["＃タグ"] * 31), "too_many_hashtags"),
        ("instagram", "", " ".join(["#❤️🔥"] * 31), "too_many_hashtags"),
        ("instagram", "", "😀" * 1101, "caption_too_long"),
        ("youtube", "🎬" * 51, "", "title_too_long"),
        ("youtube", "My\ntalk", "", "text_unusable"),
        ("instagram", "", "@friend " * 21, "too_many_mentions"),
        ("tiktok", "a\0b", "", "text_unusable"),
        ("instagram", "", "\ud800", "text_unusable"),
    ],
)
def test_what_does_not_fit_is_refused_and_never_cut(platform: str, title: str, caption: str, code: str) -> None:
    """The units are bytes for YouTube's description, and else UTF-16."""
    with pytest.raises(Rejected) as caught:
        compose(platform, title, caption, 1, 1)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("platform", "title", "caption"),
    [
        ("youtube", "x" * 100, "é" * 2500),
        ("tiktok", "", "😀" * 1100),
        ("instagram", "", "😀" * 1100),
        ("instagram", "", "#tag " * 30 + "@friend " * 20 + "a@b.example"),
        ("instagram", "", "#a#b" * 15 + " # and &#39; and https://example.com/#c are none"),
    ],
)
def test_a_text_at_the_limit_is_accepted(platform: str, title: str, caption: str) -> None:
    """A text exactly at the limit is accepted."""
    compose(platform, title, caption, 1, 1)


def test_the_number_counts_towards_the_limit() -> None:
    """A title of 100 characters fits YouTube as a single part, but not as part 2 of 5."""
    compose("youtube", "x" * 100, "", 1, 1)
    with pytest.raises(Rejected):
        compose("youtube", "x" * 100, "", 2, 5)
    assert len(compose("youtube", "x" * 89, "", 2, 5).title) == 100


def test_line_ends_of_web_forms_are_line_ends() -> None:
    """Web forms send CR LF; it becomes LF."""
    assert compose("tiktok", "a", "b\r\nc", 1, 1).text == "a\n\nb\nc"


@given(title=st.text(max_size=120), caption=st.text(max_size=300), parts=st.integers(1, 99), data=st.data())
def test_words_are_kept_whole_or_refused(title: str, caption: str, parts: int, data: st.DataObject) -> None:
    """No text is shortened silently."""
    part = data.draw(st.integers(1, parts))
    for platform in ("tiktok", "instagram", "youtube"):
        try:
            words = compose(platform, title, caption, part, parts)
        except Rejected:
            continue
        whole = f"{words.title}\n{words.text}"
        assert title.replace("\r\n", "\n").strip() in whole
        assert caption.replace("\r\n", "\n").strip() in whole
        assert f"Part {part}/{parts}" in whole or parts == 1
