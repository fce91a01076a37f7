"""GET /openapi.json and GET /docs: the description of the API, for programs and for people.

Both are made once, for the first client that asks: few do, and the operations, their examples and schemas take memory.
"""

from __future__ import annotations

import gzip
from functools import cached_property

import falcon

from api.http import conditional, content_encodings, json_values
from api.http.security_headers import PAGE_POLICY
from api.resources.base import Resource


class OpenApiResource(Resource):
    """GET /openapi.json."""

    public = True

    @cached_property
    def _document(self) -> bytes:
        from api.resources import openapi  # noqa: PLC0415 (memory, see above)

        return json_values.write(openapi.document(self._context.settings))

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Send the document."""
        del request
        response.cache_control = ["no-cache"]
        response.content_type = falcon.MEDIA_JSON
        response.data = self._document


class ReferenceResource(Resource):
    """GET /docs."""

    public = True

    @cached_property
    def _page(self) -> tuple[bytes, bytes, str]:
        from api.resources import openapi, reference  # noqa: PLC0415 (memory, see above)

        settings = self._context.settings
        content = reference.page(openapi.document(settings), settings.root_url).encode()
        return content, gzip.compress(content, mtime=0), conditional.content_tag(content)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Send the page."""
        content, compressed, tag = self._page
        response.cache_control = ["no-cache"]
        response.set_header("Content-Security-Policy", PAGE_POLICY)
        response.append_header("Vary", "Accept-Encoding")
        is_compressed = content_encodings.accepts_gzip(request.get_header("Accept-Encoding"))
        if conditional.not_modified(request, response, f"{tag}-gzip" if is_compressed else tag):
            return
        response.content_type = falcon.MEDIA_HTML
        response.data = compressed if is_compressed else content
        if is_compressed:
            response.set_header("Content-Encoding", "gzip")
