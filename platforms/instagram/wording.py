"""The words of a post on Instagram, and their limits."""

from __future__ import annotations

import re

from platforms.errors import Rejected
from platforms.wording import Wording, single_text

# developers.facebook.com, Instagram content publishing: 2200 characters, 30 hashtags, 20 mentions (read 2026-11-22).
CAPTION_CHARS = 2200
MAX_HASHTAGS = 30
MAX_MENTIONS = 20

_HASHTAG = re.compile(r"(?<![\w&/])#\w+")
_MENTION = re.compile(r"(?<![\w./])@[\w.]+")


def compose(title: str, caption: str, part: int, parts: int) -> Wording:
    """Compose and check the words of one part.

    Raises:
        Rejected: code "caption_too_long", "too_many_hashtags", "too_many_mentions" or "text_unusable".
    """
    text = single_text(title, caption, part, parts)
    if len(text) > CAPTION_CHARS:
        raise Rejected(
            "caption_too_long",
            f"Title and caption together have {len(text)} characters; Instagram accepts {CAPTION_CHARS}",
        )
    if len(_HASHTAG.findall(text)) > MAX_HASHTAGS:
        raise Rejected("too_many_hashtags", f"Instagram accepts at most {MAX_HASHTAGS} hashtags")
    if len(_MENTION.findall(text)) > MAX_MENTIONS:
        raise Rejected("too_many_mentions", f"Instagram accepts at most {MAX_MENTIONS} mentions")
    return Wording("", text)
