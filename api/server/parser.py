"""Request parser for waitress that checks the head before the body, and streams uploads from the socket to their file.

Stock waitress spools a whole body before it calls the application, which then copies it: every byte is written twice,
the second time between the last byte and the response (0.3 s for 500 MB on a fast disk, 30 s on a small one). And a
client without a key sends 500 MB before it gets its 401. This parser

    at the head          checks framing, route, key, rate limit, size and disk space; sends errors at once, before
                         "100 Continue"
    at each piece        feeds the `Upload`, on the server's loop: no copy, no spool file
    at a disconnection   discards the upload

The application finds the complete `Upload` in the WSGI environment.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import falcon
from loguru import logger
from waitress.parser import HTTPRequestParser

from api.http import navigation, page_frame, problem_page, problems
from api.http.problems import Problem
from api.http.security_headers import HEADERS
from api.server.chunked import ChunkedReceiver
from api.server.framing import check_head
from api.server.head_checks import RequestHead
from api.uploads.upload import IncomingUpload

CheckHead = Callable[[RequestHead], IncomingUpload | None]


class ErrorResponse:
    """An error as a response, with the interface of `waitress.utilities.Error`."""

    def __init__(self, error: falcon.HTTPError, *, method: str, as_page: bool) -> None:
        self._error = error
        self._method = method
        self._as_page = as_page
        self.status_code = error.status_code

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status line, headers and body."""
        del ident
        status = self._error.status_code
        own = page_frame.HEADERS if self._as_page else {"Content-Type": problems.MEDIA_TYPE}
        headers = {**HEADERS, **dict(self._error.headers or {}), **own}
        return f"{status} {problems.phrase(status)}", list(headers.items()), self._body()

    def _body(self) -> bytes:
        if self._method == "HEAD":
            return b""
        if self._as_page:
            return problem_page.page(self._error, method=self._method).encode()
        return problems.encode(self._error)


class _UploadBuffer:
    """Replaces the body buffer of waitress; feeds the upload."""

    def __init__(self, upload: IncomingUpload) -> None:
        self._upload = upload
        self._length = 0

    def append(self, data: bytes) -> None:
        self._length += len(data)
        self._upload.feed(data)

    def __len__(self) -> int:
        return self._length

    def getfile(self) -> BytesIO:
        return BytesIO()  # the application reads the upload instead

    def close(self) -> None:
        self._upload.discard()  # keeps the file of an accepted upload


class RequestParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Parses one request; may end it before its body has arrived."""

    body_rcv: Any = None  # Any: a receiver of waitress, or ours
    expect_continue = False
    path = ""  # waitress logs the path of a request, but sets none for a malformed one

    def __init__(self, adj: Any, *, check: CheckHead, peer: str) -> None:  # Any: waitress' settings
        """Prepare.

        Args:
            check: opens an upload or refuses the request, by its head.
            peer: address of the other end of the connection.
        """
        self.upload: IncomingUpload | None = None
        self.wants_continue = False
        self._error: ErrorResponse | None = None
        self._is_navigation = False
        self._check = check
        self._peer = peer
        super().__init__(adj)

    @property
    def error(self) -> ErrorResponse | None:
        """Return the error of this request, found by waitress or by this parser."""
        return self._error

    @error.setter
    def error(self, error: Any) -> None:  # Any: waitress' error, or ours
        if self._error is None and error is not None:
            if not isinstance(error, falcon.HTTPError):
                error = falcon.HTTPError(error.code, description=error.body)
            self.wants_continue = False
            as_page = self._is_navigation or navigation.is_navigation_head(self.header_plus)
            self._error = ErrorResponse(error, method=getattr(self, "command", ""), as_page=as_page)

    @property
    def begun(self) -> bool:
        """Return whether a byte of the request has arrived."""
        return bool(self.header_plus) or self.headers_finished

    @property
    def remaining_bytes(self) -> int:
        """Return the bytes of the body that are still missing; 0 if unknown."""
        return getattr(self.body_rcv, "remain", 0)

    @property
    def held_bytes(self) -> int:
        """Return the memory of the head, and of a body that is not written to a file at once."""
        body = 0 if self.body_rcv is None or self.upload is not None else len(self.body_rcv)
        return len(self.header_plus) + int(self.header_bytes_received if self.headers_finished else 0) + body

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the head, then open the upload or refuse the request."""
        self._is_navigation = navigation.is_navigation_head(header_plus)
        check_head(header_plus)
        try:
            super().parse_header(header_plus)
        except ValueError as exc:  # Content-Length of thousands of digits, malformed IPv6 address
            raise Problem(400, "bad_request", "the request line or a header is malformed") from exc
        if self.chunked:
            self.body_rcv = ChunkedReceiver(self.body_rcv.getbuf())
        # Without a body there is nothing to wait for: waitress would send "100 Continue" and wait for ever. Its own
        # attribute stays False, because its threads look at it, too.
        self.wants_continue = self.expect_continue and self.body_rcv is not None
        self.expect_continue = False
        path = "/" + self.path.lstrip("/")
        length = None if self.chunked else int(self.content_length)
        self.upload = self._check(RequestHead(self.command, path, self.headers, self._peer, length))
        if self.upload is not None and self.body_rcv is not None:
            self.body_rcv.buf = _UploadBuffer(self.upload)

    def received(self, data: bytes) -> int:
        """Parse bytes from the socket; return how many were consumed. After an error all are dropped."""
        try:
            consumed = int(super().received(data))
        except falcon.HTTPError as exc:
            self.refuse(exc)
        except Exception as exc:  # noqa: BLE001 (on the server's loop, which must not end)
            # Quoted and shortened: the path is chosen by the client and must not forge lines of the log.
            logger.opt(exception=exc).error("request to {!r} failed while receiving", self.path[:200])
            self.refuse(problems.internal_error())
        if self.headers_finished:
            self.header_plus = b""
        if self._error is not None:
            return len(data)
        return consumed

    def discard(self) -> None:
        """Discard an upload that will not be completed."""
        if self.upload is not None:
            self.upload.discard()

    def refuse(self, error: falcon.HTTPError) -> None:
        """End the request with an error."""
        self.discard()
        self.error = error
        self.wants_continue = False
        self.completed = True
        self.headers_finished = True
