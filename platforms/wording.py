"""The words of a post: the numbered title "Title — Part 2/5" and the text below it.

Each platform's package checks its own limits. A text that does not fit is refused, never shortened: a creator's words
are not changed silently (YouTube's developer policies forbid it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from platforms.errors import Rejected

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def utf16_units(text: str) -> int:
    """Return the length in UTF-16 code units, in which an emoji counts two: the strictest reading of "characters"."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


@dataclass(frozen=True)
class Wording:
    """The words of one post on one platform.

    Attributes:
        title: numbered; empty on platforms that have only one text.
        text: the caption (TikTok, Instagram: numbered title, then the caption) or the description (YouTube).
    """

    title: str
    text: str


def numbered_title(title: str, part: int, parts: int) -> str:
    """Return "Title — Part 2/5"; the bare title when there is one part; "Part 2/5" when there is no title."""
    numbering = f"Part {part}/{parts}" if parts > 1 else ""
    return " — ".join(text for text in (title.strip(), numbering) if text)


def title_and_caption(title: str, caption: str, part: int, parts: int) -> tuple[str, str]:
    """Return the numbered title and the stripped caption, with LF as line ends.

    Raises:
        Rejected: code "text_unusable": a control character or a lone surrogate.
    """
    title, caption = title.replace("\r\n", "\n"), caption.replace("\r\n", "\n")  # web forms send CR LF
    if _CONTROL.search(title) or _CONTROL.search(caption):
        raise Rejected("text_unusable", "Title and caption must be text without control characters")
    return numbered_title(title, part, parts), caption.strip()


def single_text(title: str, caption: str, part: int, parts: int) -> str:
    """Return the numbered title and the caption as one text, for platforms without titles.

    Raises:
        Rejected: as `title_and_caption`.
    """
    return "\n\n".join(text for text in title_and_caption(title, caption, part, parts) if text)
