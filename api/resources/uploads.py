"""POST /upload: a video and its options as multipart/form-data."""

from __future__ import annotations

import falcon

from api.context import Context
from api.http import idempotency
from api.http.rate_limit import RateLimiter, request_client
from api.uploads.acceptance import accept
from api.uploads.upload import UPLOAD, Upload, open_upload

READ_BYTES = 262_144


class UploadResource:
    """POST /upload."""

    def __init__(self, context: Context, limiter: RateLimiter) -> None:
        self._context = context
        self._limiter = limiter

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Accept a video; the response has the address of its status."""
        received = request.env.get(UPLOAD)
        upload = received or self._receive(request)
        accepted = accept(self._context, upload)
        if received is None:
            upload.discard()  # otherwise the server discards it after the response
        response.status = falcon.code_to_http_status(accepted.status)
        response.set_headers(accepted.headers)
        response.content_type = falcon.MEDIA_JSON
        response.data = accepted.body.encode()

    def _receive(self, request: falcon.Request) -> Upload:
        self._limiter.hit(request_client(request, behind_fly=self._context.behind_fly))
        upload = open_upload(
            self._context,
            request.content_type,
            request.content_length,
            client=request.context.client,
            idempotency_key=request.get_header(idempotency.HEADER),
            content_encoding=request.get_header("Content-Encoding"),
        )
        try:
            while data := request.bounded_stream.read(READ_BYTES):
                upload.feed(data)
        except BaseException:
            upload.discard()
            raise
        return upload
