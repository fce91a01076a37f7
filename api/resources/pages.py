"""GET / and /static/{name}: the files of the web page."""

from __future__ import annotations

from pathlib import Path

import falcon

from api.http import conditional
from api.http.problems import not_found
from api.http.security_headers import PAGE_POLICY

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


class PagesResource:
    """GET / and /static/{name}."""

    public = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str = "index.html") -> None:
        """Send a file of the page."""
        # The name is looked up in the directory listing, so that it cannot lead elsewhere.
        found = {path.name: path for path in self._directory.iterdir() if path.suffix in MEDIA_TYPES}.get(name)
        if found is None:
            raise not_found("page")
        content = found.read_bytes()
        response.cache_control = ["no-cache"]
        response.set_header("Content-Security-Policy", PAGE_POLICY)
        # With "no-referrer" browsers may send `Origin: null` with the page's own changes, and no Referer.
        response.set_header("Referrer-Policy", "same-origin")
        if conditional.not_modified(request, response, conditional.content_tag(content)):
            return
        response.content_type = MEDIA_TYPES[found.suffix]
        response.data = content

    on_head = on_get
