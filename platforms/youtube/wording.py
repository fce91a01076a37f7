"""The title and description of a video on YouTube, and their limits."""

from __future__ import annotations

from platforms.errors import Rejected
from platforms.wording import TextLimit, Wording, title_and_caption, utf16_units

# developers.google.com/youtube/v3/docs/videos: title ≤ 100 characters, description ≤ 5000 bytes, neither with < or >.
# What a character is, is not said; UTF-16 units are the strictest reading: a refusal would come after the rendering.
TITLE_UNITS = 100
DESCRIPTION_BYTES = 5000
LIMITS = (
    TextLimit("title", "utf16_units", TITLE_UNITS),
    TextLimit("title", "lines", 1),
    TextLimit("caption", "bytes", DESCRIPTION_BYTES),
)


def compose(title: str, caption: str) -> Wording:
    """Compose and check the words of one part.

    Raises:
        Rejected: code "title_too_long", "title_missing", "caption_too_long" or "text_unusable".
    """
    title, description = title_and_caption(title, caption)
    if not title:
        raise Rejected("title_missing", "YouTube needs a title")
    if "\n" in title:
        raise Rejected("text_unusable", "A title on YouTube has a single line")
    units = utf16_units(title)
    if units > TITLE_UNITS:
        raise Rejected(
            "title_too_long",
            f"With its part number the title has {units} characters (in UTF-16 units); YouTube accepts {TITLE_UNITS}",
        )
    if any(bracket in text for bracket in "<>" for text in (title, description)):
        raise Rejected("text_unusable", "YouTube accepts no < or > in title and description")
    size = len(description.encode())
    if size > DESCRIPTION_BYTES:
        raise Rejected("caption_too_long", f"The caption has {size} bytes; YouTube accepts {DESCRIPTION_BYTES}")
    return Wording(title, description)
