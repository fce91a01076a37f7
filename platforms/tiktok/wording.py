"""The words of a post on TikTok, and their limit."""

from __future__ import annotations

from platforms.errors import Rejected
from platforms.wording import TextLimit, Wording, single_text, utf16_units

# developers.tiktok.com, Direct Post, post_info.title: 2200 UTF-16 code units (live page of 2026-08-24).
CAPTION_UNITS = 2200
LIMITS = (TextLimit("text", "utf16_units", CAPTION_UNITS),)


def compose(title: str, caption: str) -> Wording:
    """Compose and check the words of one part.

    Raises:
        Rejected: code "caption_too_long" or "text_unusable".
    """
    text = single_text(title, caption)
    units = utf16_units(text)
    if units > CAPTION_UNITS:
        raise Rejected(
            "caption_too_long",
            f"Title and caption together have {units} characters (in UTF-16 units); TikTok accepts {CAPTION_UNITS}",
        )
    return Wording("", text)
