"""The parts of a page that the API made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
"""The header Accept of a browser that opens an address."""


@dataclass
class ReadPage(HTMLParser):
    """The parts of a page that a person needs."""

    text: str
    title: str = ""
    headings: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._inside: list[str] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag == "link" and given.get("rel") == "stylesheet":
            self.styles.append(given.get("href") or "")
        if tag not in {"meta", "link"}:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._inside[-1] if self._inside else ""
        if inside == "title":
            self.title += data
        if inside == "h1":
            self.headings.append(data)
        if inside == "p":
            self.words.append(data)


def check_page(text: str, headers: Mapping[str, str], what: str) -> ReadPage:
    """Assert that a body is a page of ours that leads on."""
    assert headers["content-type"] == "text/html; charset=utf-8", f"{what}: {text[:200]}"
    assert "style-src 'self'" in headers["content-security-policy"], what
    assert "sandbox" not in headers["content-security-policy"], what
    found = ReadPage(text)
    assert found.title.endswith("VidProd"), what
    assert len(found.headings) == 1, what
    assert "/" in found.links, what
    assert len(" ".join(found.words).split()) >= 5, f"{what}: {found.words}"
    assert not re.search(r"Authorization|Content-Length|multipart|None|\{", " ".join(found.words)), found.words
    return found
