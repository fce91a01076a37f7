"""POST /upload: a video with its wishes as one form."""

from __future__ import annotations

import falcon

from api.context import Context
from api.http import idempotency
from api.http.rate_limit import RateLimit, caller
from api.uploads import upload
from api.uploads.upload import Reception

READ_BYTES = 262_144

RECEIVED = "vidprod.reception"
"""Key of the WSGI environment under which the server hands over an upload that it has received itself."""


class Uploads:
    """Takes uploads."""

    def __init__(self, context: Context, limit: RateLimit) -> None:
        self._context = context
        self._limit = limit

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Take a video; the answer says where its status will be."""
        received = request.env.get(RECEIVED)
        reception = received or self._receive(request)
        answer = upload.accept(self._context, reception)
        if received is None:
            reception.discard()  # otherwise the receiver discards it after the answer
        response.status = falcon.code_to_http_status(answer.status)
        response.set_headers(answer.headers)
        response.content_type = falcon.MEDIA_JSON
        response.data = answer.body.encode()

    def _receive(self, request: falcon.Request) -> Reception:
        self._limit.take(caller(request, behind_fly=self._context.behind_fly))
        reception = upload.open_reception(
            self._context,
            request.content_type,
            request.content_length,
            identity=request.context.identity,
            idempotency_key=request.get_header(idempotency.HEADER),
        )
        try:
            while piece := request.bounded_stream.read(READ_BYTES):
                reception.feed(piece)
        except BaseException:
            reception.discard()
            raise
        return reception
