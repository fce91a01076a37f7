"""The addresses of the page's views; some are addresses of the API, too, which answers programs with JSON."""

from __future__ import annotations

import re

import falcon

from api.http import navigation

PATHS = re.compile(r"/(?:new|videos(?:/[^/]+)?|calendar|accounts|settings|needs-you)?")
"""As in `frontend/paths.js`."""


def of_video(job_id_quoted: str) -> str:
    """Return the address of a job's view; the id is quoted for an address."""
    return f"/videos/{job_id_quoted}"


class PageNavigation:
    """Falcon middleware that gives the page to a browser that opens the address of a view."""

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Route the request to the page, which shows the view."""
        if request.method in {"GET", "HEAD"} and PATHS.fullmatch(request.path):
            response.append_header("Vary", "Accept")
            if navigation.is_navigation(request):
                request.path = "/"
