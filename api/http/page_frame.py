"""The frame of pages that the API itself makes: style sheets, title, head, one section."""

from __future__ import annotations

from html import escape

from falcon import MEDIA_HTML

from api.http.security_headers import PAGE_POLICY

HEADERS = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store", "Content-Type": MEDIA_HTML}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} – VidProd</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" type="image/svg+xml" href="/static/icon.svg">
<link rel="stylesheet" href="/static/base.css">
<link rel="stylesheet" href="/static/pages.css">
{head}</head>
<body>
<header class="bar"><span class="brand">VidProd</span></header>
<main>
<section class="{style}">
<h1>{title}</h1>
{content}
</section>
</main>
</body>
</html>
"""


def page(title: str, content: str, *, style: str, head: str = "") -> str:
    """Return a page.

    Args:
        title: as text.
        content: as HTML.
        style: class of the section.
        head: further HTML of the head.
    """
    return _PAGE.format(title=escape(title), content=content, style=style, head=head)


def lead(sentence: str) -> str:
    """Return the HTML of a sentence below the title."""
    return f'<p class="lead">{escape(sentence)}</p>'


def link(address: str, text: str, *, is_main: bool = True) -> str:
    """Return the HTML of a link that looks like a button."""
    return (
        f'<a class="button {"button-main" if is_main else "button-quiet"}" href="{escape(address)}">{escape(text)}</a>'
    )
