"""Security headers of every response, and the Content-Security-Policies."""

from __future__ import annotations

from typing import Any

import falcon

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; media-src 'self' blob:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types service-worker"
)
"""Content-Security-Policy of the page: no inline scripts or styles, no other origin.

`blob:` is the preview of a chosen video. `service-worker` is the only policy that may make an address of a script: that
of the service worker (`frontend/install.js`).
"""

DEFAULT_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Content-Security-Policy of every other response: nothing in it is executed or shown as a page."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), screen-wake-lock=(self)",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # whatever has a secret is stored nowhere; resources without one say otherwise
}


class SecurityHeaders:
    """Falcon middleware that adds the security headers to every response."""

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
        for name, value in {**self._headers, "Content-Security-Policy": DEFAULT_POLICY}.items():
            if response.get_header(name) is None:
                response.set_header(name, value)
