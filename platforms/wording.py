"""The words of a post: the numbered title "Title — Part 2/5" and the text below it, and their templates.

A text may have placeholders, for instance "{title} ({n}/{m})". A title without any gets the number of its part.

Each platform's package checks its own limits. A text that does not fit is refused, never shortened: a creator's words
are not changed silently (YouTube's developer policies forbid it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from platforms.errors import Rejected

_PLACEHOLDER = re.compile(r"\{(title|n|m)\}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def utf16_units(text: str) -> int:
    """Return the length in UTF-16 code units, in which an emoji counts two: the strictest reading of "characters"."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


@dataclass(frozen=True)
class TextLimit:
    """A limit of the words of a post.

    Attributes:
        of: what is counted; "text" is title, blank line and caption together.
        unit: how it is counted. Emoji are two UTF-16 units; bytes are those of UTF-8.
    """

    of: Literal["title", "caption", "text"]
    unit: Literal["utf16_units", "bytes", "hashtags", "mentions", "lines"]
    maximum: int


@dataclass(frozen=True)
class Wording:
    """The words of one post on one platform.

    Attributes:
        title: empty on platforms that have only one text.
        text: the caption (TikTok, Instagram: title, then the caption) or the description (YouTube).
    """

    title: str
    text: str


def is_template(text: str) -> bool:
    """Return whether a text has placeholders: `{title}`, `{n}` (number of the part) or `{m}` (number of parts)."""
    return bool(_PLACEHOLDER.search(text))


def fill(template: str, *, title: str, part: int, parts: int) -> str:
    """Replace the placeholders of a text once; other braces stay as they are."""
    values = {"title": title, "n": str(part), "m": str(parts)}
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def numbered_title(title: str, part: int, parts: int) -> str:
    """Return "Title — Part 2/5"; the bare title when there is one part; "Part 2/5" when there is no title."""
    numbering = f"Part {part}/{parts}" if parts > 1 else ""
    return " — ".join(text for text in (title.strip(), numbering) if text)


def title_and_caption(title: str, caption: str) -> tuple[str, str]:
    """Return both stripped, with LF as line ends.

    Raises:
        Rejected: code "text_unusable": a control character or a lone surrogate.
    """
    title, caption = title.replace("\r\n", "\n"), caption.replace("\r\n", "\n")  # web forms send CR LF
    if _CONTROL.search(title) or _CONTROL.search(caption):
        raise Rejected("text_unusable", "Title and caption must be text without control characters")
    return title.strip(), caption.strip()


def single_text(title: str, caption: str) -> str:
    """Return title and caption as one text, for platforms without titles.

    Raises:
        Rejected: as `title_and_caption`.
    """
    return "\n\n".join(text for text in title_and_caption(title, caption) if text)
