"""What a post is called: the one place that composes "Title — Part 2/5" and the text below it.

A text that does not fit is refused, never cut: people's words are not altered silently (YouTube's developer policies
forbid it, and it reads badly anywhere).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from platforms.errors import Rejected

# developers.tiktok.com, Direct Post, post_info.title: 2200 UTF-16 code units (live page of 2026-08-24).
TIKTOK_CAPTION_UNITS = 2200
# developers.facebook.com, Instagram content publishing: 2200 characters, 30 hashtags, 20 mentions (read 2026-11-22).
INSTAGRAM_CAPTION_CHARS = 2200
INSTAGRAM_HASHTAGS = 30
INSTAGRAM_MENTIONS = 20
# developers.google.com/youtube/v3/docs/videos: title ≤ 100 characters, description ≤ 5000 bytes, neither with < or >.
YOUTUBE_TITLE_CHARS = 100
YOUTUBE_DESCRIPTION_BYTES = 5000

_HASHTAG = re.compile(r"(?<![\w&/])#\w+")
_MENTION = re.compile(r"(?<![\w./])@[\w.]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Wording:
    """The words of one post on one platform.

    Attributes:
        title: numbered; empty on platforms that know only one text.
        text: the caption (TikTok, Instagram: numbered title, then the caption) or the description (YouTube).
    """

    title: str
    text: str


def numbered_title(title: str, part: int, parts: int) -> str:
    """Return "Title — Part 2/5"; the bare title when there is one part; "Part 2/5" when there is no title."""
    numbering = f"Part {part}/{parts}" if parts > 1 else ""
    return " — ".join(text for text in (title.strip(), numbering) if text)


def compose(platform: str, title: str, caption: str, part: int, parts: int) -> Wording:
    """Compose and check the words of one part for one platform.

    Raises:
        Rejected: code "title_too_long", "title_missing", "caption_too_long", "too_many_hashtags",
            "too_many_mentions" or "text_unusable".
    """
    title, caption = title.replace("\r\n", "\n"), caption.replace("\r\n", "\n")  # forms of web pages send these
    if _CONTROL.search(title) or _CONTROL.search(caption):
        raise Rejected("text_unusable", "title and caption must be text without control characters")
    named = numbered_title(title, part, parts)
    if platform == "youtube":
        return _youtube(named, caption.strip())
    text = "\n\n".join(words for words in (named, caption.strip()) if words)
    return _tiktok(text) if platform == "tiktok" else _instagram(text)


def _youtube(title: str, description: str) -> Wording:
    if not title:
        raise Rejected("title_missing", "YouTube needs a title")
    if len(title) > YOUTUBE_TITLE_CHARS:
        raise Rejected(
            "title_too_long",
            f"with its numbering the title has {len(title)} characters; YouTube takes {YOUTUBE_TITLE_CHARS}",
        )
    if any(bracket in text for bracket in "<>" for text in (title, description)):
        raise Rejected("text_unusable", "YouTube takes no < or > in title and description")
    size = len(description.encode())
    if size > YOUTUBE_DESCRIPTION_BYTES:
        raise Rejected("caption_too_long", f"the caption has {size} bytes; YouTube takes {YOUTUBE_DESCRIPTION_BYTES}")
    return Wording(title, description)


def _tiktok(text: str) -> Wording:
    units = len(text.encode("utf-16-le")) // 2
    if units > TIKTOK_CAPTION_UNITS:
        raise Rejected(
            "caption_too_long",
            f"title and caption have {units} UTF-16 units; TikTok takes {TIKTOK_CAPTION_UNITS}",
        )
    return Wording("", text)


def _instagram(text: str) -> Wording:
    if len(text) > INSTAGRAM_CAPTION_CHARS:
        raise Rejected(
            "caption_too_long",
            f"title and caption have {len(text)} characters; Instagram takes {INSTAGRAM_CAPTION_CHARS}",
        )
    if len(_HASHTAG.findall(text)) > INSTAGRAM_HASHTAGS:
        raise Rejected("too_many_hashtags", f"Instagram takes {INSTAGRAM_HASHTAGS} hashtags")
    if len(_MENTION.findall(text)) > INSTAGRAM_MENTIONS:
        raise Rejected("too_many_mentions", f"Instagram takes {INSTAGRAM_MENTIONS} mentions")
    return Wording("", text)
