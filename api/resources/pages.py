"""The pages' files, and the headers that every answer carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import falcon

from api.http import conditional
from api.http.problems import not_found

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}

# Nothing inline, nothing from elsewhere; blob: shows a chosen video before it is sent.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; media-src 'self' blob:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
ANSWER_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), screen-wake-lock=(self)",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SafeHeaders:
    """Falcon middleware: what a browser is told with every answer."""

    def __init__(self, *, https: bool) -> None:
        self._headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})

    def process_response(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        succeeded: bool,
        params: dict[str, Any] | None = None,  # Any: Falcon's signature
    ) -> None:
        """Add the headers that the resource has not set."""
        del request, resource, succeeded, params
        for name, value in {**self._headers, "Content-Security-Policy": ANSWER_POLICY}.items():
            if response.get_header(name) is None:
                response.set_header(name, value)


class Pages:
    """GET / and /static/{name}."""

    public = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str = "index.html") -> None:
        """Send a file of the pages."""
        # Looked up among what is there, so that no name can lead anywhere else.
        found = {path.name: path for path in self._directory.iterdir() if path.suffix in MEDIA_TYPES}.get(name)
        if found is None:
            raise not_found("page")
        content = found.read_bytes()
        response.cache_control = ["no-cache"]
        response.set_header("Content-Security-Policy", PAGE_POLICY)
        if conditional.not_modified(request, response, conditional.content_tag(content)):
            return
        response.content_type = MEDIA_TYPES[found.suffix]
        response.data = content

    on_head = on_get
