"""The words of a post on Instagram, and their limits."""

from __future__ import annotations

import re

from platforms.errors import Rejected
from platforms.wording import TextLimit, Wording, single_text, utf16_units

# developers.facebook.com, Instagram content publishing: 2200 characters, 30 hashtags, 20 mentions (read 2026-11-22).
# Meta does not say what a character is; UTF-16 units are the strictest reading, and what its apps count.
CAPTION_UNITS = 2200
MAX_HASHTAGS = 30
MAX_MENTIONS = 20
LIMITS = (
    TextLimit("text", "utf16_units", CAPTION_UNITS),
    TextLimit("text", "hashtags", MAX_HASHTAGS),
    TextLimit("text", "mentions", MAX_MENTIONS),
)

# One run may hold several: `#a#b` counts as two. Letters, digits and emoji with their joiners belong to a hashtag;
# ASCII and general punctuation end it. The full-width sign of East Asian keyboards begins one, too.
_HASHTAGS = re.compile(r"(?<![\w&/])(?:[#＃][^\s!-/:-@\[-^`{-~＃\u2010-\u2027\u2030-\u205e\u3000-\u303f]+)+")
MENTION = re.compile(r"(?<![\w./])@[\w.]+")


def compose(title: str, caption: str) -> Wording:
    """Compose and check the words of one part.

    Raises:
        Rejected: code "caption_too_long", "too_many_hashtags", "too_many_mentions" or "text_unusable".
    """
    text = single_text(title, caption)
    units = utf16_units(text)
    if units > CAPTION_UNITS:
        raise Rejected(
            "caption_too_long",
            f"Title and caption together have {units} characters (in UTF-16 units); Instagram accepts {CAPTION_UNITS}",
        )
    if count_hashtags(text) > MAX_HASHTAGS:
        raise Rejected("too_many_hashtags", f"Instagram accepts at most {MAX_HASHTAGS} hashtags")
    if len(MENTION.findall(text)) > MAX_MENTIONS:
        raise Rejected("too_many_mentions", f"Instagram accepts at most {MAX_MENTIONS} mentions")
    return Wording("", text)


def count_hashtags(text: str) -> int:
    """Return the number of hashtags in a text."""
    return sum(run.count("#") + run.count("＃") for run in _HASHTAGS.findall(text))
