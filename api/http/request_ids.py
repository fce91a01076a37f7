"""Gives each request an id: in its log lines, and as X-Request-ID in its response."""

from __future__ import annotations

import secrets

import falcon

from actors import log_context

HEADER = "X-Request-ID"


class RequestIds:
    """Falcon middleware; the first, so that the log lines of all others have the id, too.

    The id is always ours: a client's could forge the lines of another request.
    """

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Begin the context of a request."""
        del request
        request_id = secrets.token_hex(8)
        log_context.begin(request_id=request_id)
        response.set_header(HEADER, request_id)

    def process_response(
        self, request: falcon.Request, response: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        """End the context."""
        del request, response, resource, req_succeeded
        log_context.end()
