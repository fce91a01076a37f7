"""JSON answers as a page, for a browser that opens an address which is meant for programs."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import falcon

from api.http import navigation, page_frame

_LEAD = "This address is meant for programs, which get the data below as JSON. VidProd's page shows it for people."


class DataPages:
    """Falcon middleware that shows JSON answers as a page to a browser that opens their address."""

    def process_response(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        succeeded: bool,
        params: dict[str, Any] | None = None,  # Any: Falcon's signature
    ) -> None:
        """Replace the body."""
        del resource, params
        if not succeeded or response.content_type not in {None, falcon.MEDIA_JSON}:
            return
        content = response.data if response.data is not None else response.render_body()
        if not content:
            return
        response.append_header("Vary", "Accept")
        if navigation.is_navigation(request):
            _show(request, response, content)


def _show(request: falcon.Request, response: falcon.Response, content: bytes) -> None:
    data = json.dumps(json.loads(content), ensure_ascii=False, indent=2).encode(errors="replace").decode()
    response.data = None
    response.media = None
    response.text = page_frame.page(request.path[:80], _content(data), style="data")
    response.set_headers(page_frame.HEADERS)
    response.delete_header("ETag")


def _content(data: str) -> str:
    back = page_frame.link("/", "Back to VidProd")
    return f'{page_frame.lead(_LEAD)}\n<p class="links">{back}</p>\n<pre>{escape(data, quote=False)}</pre>'
