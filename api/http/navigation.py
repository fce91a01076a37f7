"""Tells requests of a browser that opens an address as a page from those of programs.

Browsers name `text/html` when they open an address, and neither for images nor for scripts and `fetch`. Programs name
JSON, anything, or nothing. Java's HttpURLConnection names `text/html` and anything, also in programs; these send a key.
"""

from __future__ import annotations

import re

import falcon

HTML = "text/html"
_JSON = ("application/json", "application/problem+json")
_ANYTHING = ("*/*", "*")
_ACCEPT = re.compile(rb"^accept:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_AUTHORIZATION = re.compile(rb"^authorization:", re.IGNORECASE | re.MULTILINE)


def wants_page(accept: str | None, *, has_key: bool) -> bool:
    """Return whether a page answers a request better than JSON.

    Args:
        accept: the header Accept.
        has_key: the request has the header Authorization.
    """
    if accept is None or HTML not in accept.lower():
        return False
    qualities = dict(_quality(one) for one in accept.lower().split(","))
    html = qualities.get(HTML, 0.0)
    if not html > 0 or any(qualities.get(name, 0.0) >= html for name in _JSON):
        return False
    return not (has_key and any(name in qualities for name in _ANYTHING))


def is_navigation(request: falcon.Request) -> bool:
    """Return whether a page answers a request better than JSON."""
    return wants_page(request.get_header("Accept"), has_key=request.get_header("Authorization") is not None)


def is_navigation_head(head: bytes) -> bool:
    """Return the same for the bytes of a request's head, which may be malformed or incomplete."""
    accept = _ACCEPT.search(head)
    if accept is None:
        return False
    return wants_page(accept[1].decode("latin-1"), has_key=_AUTHORIZATION.search(head) is not None)


def _quality(item: str) -> tuple[str, float]:
    """Return the media type of an item of Accept, and its weight from 0 to 1 (RFC 9110, section 12.4.2)."""
    media_type, *parameters = (step.strip() for step in item.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_type, float(value)
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0
