"""Request parser for waitress that streams uploads from the socket to their file.

Stock waitress spools a whole body before it calls the application, which then copies it: every byte is written twice,
the second time between the last byte and the response (0.3 s for 500 MB on a fast disk, 30 s on a small one). And a
client without a key sends 500 MB before it gets its 401. This parser

    at the headers       checks route, key, rate limit, size and disk space; sends errors at once, before "100 Continue"
    at each piece        feeds the `Upload`, on the server's loop: no copy, no spool file
    at a disconnection   discards the upload

The application finds the complete `Upload` in the WSGI environment. Everything else is stock waitress.
"""

from __future__ import annotations

import socket
import time
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Any

import falcon
from falcon.routing import CompiledRouter
from loguru import logger
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, WSGITask

from api.context import Context
from api.http import json_body, problems
from api.http.auth import session_cookie
from api.http.problems import Problem
from api.http.rate_limit import RateLimiter, client_address
from api.http.security_headers import HEADERS
from api.uploads.upload import UPLOAD, Upload, open_upload

# A client that is still sending must read its error before the connection is closed: closing a socket with unread bytes
# resets the connection, and browsers then show a network error. Bytes that arrive meanwhile are dropped.
LINGER_S = 30.0

# waitress has no limit for these two; it keeps them in memory and searches them again at every piece.
MAX_CHUNK_LINE_BYTES = 1024
MAX_TRAILER_BYTES = 8192


class UploadOpener:
    """Opens an upload from its request headers, or refuses it; refuses long bodies of other requests."""

    def __init__(self, context: Context, limiter: RateLimiter, router: CompiledRouter) -> None:
        """Prepare.

        Args:
            limiter: of uploads.
            router: of the application, for requests to a wrong path.
        """
        self._context = context
        self._limiter = limiter
        self._router = router

    def check_route(self, path: str, method: str) -> None:
        """Refuse a request that no resource answers.

        Raises:
            falcon.HTTPError: 404 or 405.
        """
        found = self._router.find(path)
        if found is None:
            raise falcon.HTTPNotFound
        allowed = [name for name in falcon.HTTP_METHODS if hasattr(found[0], f"on_{name.lower()}")]
        if method not in allowed:
            raise falcon.HTTPMethodNotAllowed(allowed)

    def open(self, headers: dict[str, str], method: str, peer: str, content_length: int | None) -> Upload:
        """Authenticate the client, count the request, and open the upload.

        Args:
            headers: by upper-case name with underscores, as waitress stores them.
            peer: address of the other end of the connection.
            content_length: of the body, in bytes; None if unknown.

        Raises:
            Problem: the request is refused.
        """
        session = session_cookie(headers.get("COOKIE"))
        site = headers.get("SEC_FETCH_SITE")
        identity = self._context.keys.authenticate(headers.get("AUTHORIZATION"), session, site, method)
        self._limiter.hit(client_address(peer, headers.get("FLY_CLIENT_IP"), behind_fly=self._context.behind_fly))
        return open_upload(
            self._context,
            headers.get("CONTENT_TYPE"),
            content_length,
            identity=identity,
            idempotency_key=headers.get("IDEMPOTENCY_KEY"),
            content_encoding=headers.get("CONTENT_ENCODING"),
        )


class ErrorResponse:
    """An error as a response, with the interface of `waitress.utilities.Error`."""

    def __init__(self, error: falcon.HTTPError, *, without_body: bool) -> None:
        self._error = error
        self._without_body = without_body

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status line, headers and body."""
        del ident
        status = HTTPStatus(self._error.status_code)
        headers = {**HEADERS, **dict(self._error.headers or {}), "Content-Type": problems.MEDIA_TYPE}
        body = b"" if self._without_body else problems.encode(self._error)
        return f"{status.value} {status.phrase}", list(headers.items()), body


class _UploadBuffer:
    """Replaces the body buffer of waitress; feeds the upload."""

    def __init__(self, upload: Upload) -> None:
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


class UploadParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Parses one request; may end it before its body has arrived."""

    path = ""  # waitress logs the path of a request, but sets none for a malformed one

    def __init__(self, adj: Any, *, opener: UploadOpener | None, peer: str) -> None:  # Any: waitress' settings
        self.upload: Upload | None = None
        self._error: ErrorResponse | None = None
        self._opener = opener
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
            self._error = ErrorResponse(error, without_body=getattr(self, "command", "") == "HEAD")

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the headers, then open the upload or refuse the request."""
        try:
            super().parse_header(header_plus)
        except ValueError as exc:  # Content-Length of thousands of digits, malformed IPv6 address
            raise Problem(400, "bad_request", "the request line or a header is malformed") from exc
        if self._opener is None:
            return
        path = "/" + self.path.lstrip("/")
        is_upload = self.command == "POST" and path == "/upload"
        if self.body_rcv is None:
            if is_upload and "CONTENT_LENGTH" not in self.headers:
                raise Problem(411, "length_required", "send the length of the form in Content-Length")
            return
        length = None if self.chunked else self.content_length
        if is_upload:
            self.upload = self._opener.open(self.headers, self.command, self._peer, length)
            self.body_rcv.buf = _UploadBuffer(self.upload)
        elif length is None or length > json_body.MAX_BYTES:
            self._opener.check_route(path, self.command)
            if length is not None:
                raise json_body.too_large()

    def received(self, data: bytes) -> int:
        """Parse bytes from the socket; return how many were consumed. After an error all are dropped."""
        try:
            consumed = int(super().received(data))
            self._check_chunks()
        except falcon.HTTPError as exc:
            self._refuse(exc)
        except Exception as exc:  # noqa: BLE001 (on the server's loop, which must not end)
            # Quoted and shortened: the path is chosen by the client and must not forge lines of the log.
            logger.opt(exception=exc).error("request to {!r} failed while receiving", self.path[:200])
            self._refuse(problems.internal_error())
        if self._error is not None:
            self.expect_continue = False
            return len(data)
        return consumed

    def discard(self) -> None:
        """Discard an upload that will not be completed."""
        if self.upload is not None:
            self.upload.discard()

    def _check_chunks(self) -> None:
        """Refuse a chunked body that exceeds the limit for JSON, or whose framing is too long."""
        if not self.chunked or self.body_rcv is None:
            return
        if len(self.body_rcv.control_line) > MAX_CHUNK_LINE_BYTES or len(self.body_rcv.trailer) > MAX_TRAILER_BYTES:
            raise Problem(400, "bad_request", "the chunked encoding of the body is malformed")
        if self.upload is None and len(self.body_rcv) > json_body.MAX_BYTES:
            raise json_body.too_large()

    def _refuse(self, error: falcon.HTTPError) -> None:
        self.discard()
        self.error = error
        self.completed = True
        self.headers_finished = True


class UploadTask(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Runs the application for one request."""

    def get_environment(self) -> dict[str, Any]:  # Any: WSGI's
        """Return the WSGI environment, with the complete upload in it."""
        environment: dict[str, Any] = super().get_environment()
        if self.request.upload is not None:
            environment[UPLOAD] = self.request.upload
        return environment

    def set_close_on_finish(self) -> None:
        """Keep the connection after a response without a body.

        Stock waitress closes it after every 204 and 304, so a page that polls would need a new connection each time.
        """
        wanted = self.request.headers.get("CONNECTION", "").lower().split(",")
        wants_close = "close" in {option.strip() for option in wanted}
        if self.has_body or self.version != "1.1" or wants_close:
            super().set_close_on_finish()


class UploadChannel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection; `opener` is set on a subclass, because waitress creates the channels."""

    task_class = UploadTask
    error_task_class = ErrorTask
    opener: UploadOpener | None = None
    request: UploadParser | None = None

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002  # Any: waitress' own
        self._lingering_since: float | None = None
        self._refused = False
        super().__init__(server, sock, addr, adj, map=map)
        self.parser_class = partial(UploadParser, opener=self.opener, peer=str(addr[0]))

    def received(self, data: bytes) -> bool:
        """Process bytes from the socket; drop them after an error."""
        if self._lingering_since is not None:
            if time.monotonic() - self._lingering_since > LINGER_S:
                self.handle_close()
            return False
        taken = bool(super().received(data))
        self._refused = self._refused or any(request.error is not None for request in self.requests)
        return taken

    def handle_close(self) -> None:
        """Close the connection; after an error, first wait until the client has read it."""
        if self._refused and self.connected and self._lingering_since is None and self._end_response():
            return
        if self.request is not None:
            self.request.discard()
            self.request = None
        super().handle_close()

    def _end_response(self) -> bool:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self._lingering_since = time.monotonic()
        self.will_close = self.close_when_flushed = False
        return True
