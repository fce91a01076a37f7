"""Problems as a small page, for addresses that a person opens in a browser."""

from __future__ import annotations

from html import escape

import falcon

from api.http import problems
from api.http.problems import Problem
from api.http.security_headers import PAGE_POLICY

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>VidProd</title>
<link rel="stylesheet" href="/static/base.css">
<link rel="stylesheet" href="/static/pages.css">
<main>
<section class="narrow">
<h1>{title}</h1>
<p class="lead">{detail}.</p>
<p><a class="button button-main" href="/">Back to VidProd</a></p>
</section>
</main>
"""


def is_wanted(request: falcon.Request) -> bool:
    """Return whether a browser opens this address as a page."""
    return "text/html" in (request.get_header("Accept") or "")


def show(response: falcon.Response, problem: Problem, title: str) -> None:
    """Send a problem as a page, with the status and the headers that its document would have."""
    sentence = str(problems.document(problem)["detail"])
    response.status = problem.status
    response.set_headers(problem.headers or {})
    response.set_header("Content-Security-Policy", PAGE_POLICY)
    response.cache_control = ["no-store"]
    response.content_type = falcon.MEDIA_HTML
    response.text = _PAGE.format(title=escape(title), detail=escape(sentence[:1].upper() + sentence[1:].rstrip(".")))
