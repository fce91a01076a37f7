"""How waitress receives: uploads go straight from the socket to their file, and a refusal does not wait for the body.

Stock waitress spools a whole body before it calls the application, which then copies it: every byte is written twice,
the second time between the last byte and the answer (0.3 s for 500 MB on a fast disk, half a minute on a small one).
And whoever has no key sends 500 MB before hearing so. Here the request's parser

    at the headers     checks key, rate, size and room; a refusal is answered at once, also before "100 Continue"
    with each piece    feeds the upload's `Reception`, on the loop's thread: no copy, no spool
    when cut off       discards what has come

and the application finds the finished `Reception` in its environment. Everything else is stock.
"""

from __future__ import annotations

import socket
import time
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Any

import falcon
from loguru import logger
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, WSGITask

from api.context import Context
from api.http import json_body, problems
from api.http.auth import session_in
from api.http.problems import Problem
from api.http.rate_limit import RateLimit, caller_of
from api.http.security_headers import HEADERS
from api.resources.uploads import RECEIVED
from api.uploads.upload import Reception, open_reception

# A client that is still sending must not be cut off before it has read its refusal: closing a socket with unread bytes
# resets the connection, and browsers then show a network error. What comes meanwhile is thrown away.
LINGER_S = 30.0

# waitress sets no limit of its own to these two, keeps them in memory, and looks through them at every piece.
MAX_CHUNK_LINE_BYTES = 1024
MAX_TRAILER_BYTES = 8192


class Entrance:
    """Decides on a request by its headers."""

    def __init__(self, context: Context, limit: RateLimit) -> None:
        self._context = context
        self._limit = limit

    def admit(self, headers: dict[str, str], method: str, peer: str, length: int | None) -> Reception:
        """Let an upload begin.

        Args:
            headers: by upper-case name with underscores, as waitress has them.
            length: of the body, if it is known.

        Raises:
            Problem: it is refused.
        """
        session = session_in(headers.get("COOKIE"))
        site = headers.get("SEC_FETCH_SITE")
        identity = self._context.keys.admit(headers.get("AUTHORIZATION"), session, site, method)
        self._limit.take(caller_of(peer, headers.get("FLY_CLIENT_IP"), behind_fly=self._context.behind_fly))
        return open_reception(
            self._context,
            headers.get("CONTENT_TYPE"),
            length,
            identity=identity,
            idempotency_key=headers.get("IDEMPOTENCY_KEY"),
        )


class Refusal:
    """An error in the form in which waitress answers with it."""

    def __init__(self, error: falcon.HTTPError, *, bodiless: bool) -> None:
        self._error = error
        self._bodiless = bodiless

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status line, headers and body."""
        del ident
        status = HTTPStatus(self._error.status_code)
        headers = {**HEADERS, **dict(self._error.headers or {}), "Content-Type": problems.MEDIA_TYPE}
        body = b"" if self._bodiless else problems.encode(self._error)
        return f"{status.value} {status.phrase}", list(headers.items()), body


class _Body:
    """Stands where waitress keeps a body, and passes it on."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._length = 0

    def append(self, piece: bytes) -> None:
        self._length += len(piece)
        self._reception.feed(piece)

    def __len__(self) -> int:
        return self._length

    def getfile(self) -> BytesIO:
        return BytesIO()  # nothing is left to read for the application

    def close(self) -> None:
        self._reception.discard()  # nothing is left to discard once there is a job


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Parses one request, and may end it before its body has come."""

    def __init__(self, adj: Any, *, entrance: Entrance | None, peer: str) -> None:  # Any: waitress' settings
        self.reception: Reception | None = None
        self._error: Refusal | None = None
        self._entrance = entrance
        self._peer = peer
        super().__init__(adj)

    @property
    def error(self) -> Refusal | None:
        """The refusal, whoever found the reason for it."""
        return self._error

    @error.setter
    def error(self, error: Any) -> None:  # Any: waitress' error, or ours
        if self._error is None and error is not None:
            if not isinstance(error, falcon.HTTPError):
                error = falcon.HTTPError(error.code, description=error.body)
            self._error = Refusal(error, bodiless=getattr(self, "command", "") == "HEAD")

    def parse_header(self, header_plus: bytes) -> None:
        """Read the headers, then decide."""
        try:
            super().parse_header(header_plus)
        except ValueError as exc:  # a number of thousands of digits, half an IPv6 address
            raise Problem(400, "bad_request", "the request's head makes no sense") from exc
        if self.body_rcv is None or self._entrance is None:
            return
        length = None if self.chunked else self.content_length
        if self.command == "POST" and "/" + self.path.lstrip("/") == "/upload":
            self.reception = self._entrance.admit(self.headers, self.command, self._peer, length)
            self.body_rcv.buf = _Body(self.reception)
        elif length is not None and length > json_body.MAX_BYTES:
            raise json_body.too_large()

    def received(self, data: bytes) -> int:
        """Take bytes from the socket; after a refusal they are thrown away."""
        try:
            consumed = int(super().received(data))
            self._check_chunks()
        except falcon.HTTPError as exc:
            self._refuse(exc)
        except Exception as exc:  # noqa: BLE001 (the edge of the loop: whatever it is, it must not end the server)
            # As text in quotes, and short: who sends it chooses it, and must not write lines of our log.
            logger.opt(exception=exc).error("receiving {!r} failed", str(getattr(self, "path", ""))[:200])
            self._refuse(problems.internal())
        if self._error is not None:
            self.expect_continue = False
            return len(data)
        return consumed

    def discard(self) -> None:
        """Leave nothing of an upload that will not be finished."""
        if self.reception is not None:
            self.reception.discard()

    def _check_chunks(self) -> None:
        """Refuse a body in chunks that is too large where nobody said so before, or whose framing never ends."""
        if not self.chunked or self.body_rcv is None:
            return
        if len(self.body_rcv.control_line) > MAX_CHUNK_LINE_BYTES or len(self.body_rcv.trailer) > MAX_TRAILER_BYTES:
            raise Problem(400, "bad_request", "the body's chunks make no sense")
        if self.reception is None and len(self.body_rcv) > json_body.MAX_BYTES:
            raise json_body.too_large()

    def _refuse(self, error: falcon.HTTPError) -> None:
        self.discard()
        self.error = error
        self.completed = True
        self.headers_finished = True


class Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Carries one request to the application."""

    def get_environment(self) -> dict[str, Any]:  # Any: WSGI's
        """Hand over the upload that was received."""
        environment: dict[str, Any] = super().get_environment()
        if self.request.reception is not None:
            environment[RECEIVED] = self.request.reception
        return environment

    def set_close_on_finish(self) -> None:
        """Keep the connection after answers that have no body: their length is known to be none.

        Stock waitress closes after every 204 and 304, so a page that asks for news needs a new connection each time.
        """
        asked = self.request.headers.get("CONNECTION", "").lower().split(",")
        wants_close = "close" in {option.strip() for option in asked}
        if self.has_body or self.version != "1.1" or wants_close:
            super().set_close_on_finish()


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection."""

    task_class = Task
    error_task_class = ErrorTask
    entrance: Entrance | None = None
    request: Parser | None = None

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002  # Any: waitress' own
        self._lingering_since: float | None = None
        self._refused = False
        super().__init__(server, sock, addr, adj, map=map)
        self.parser_class = partial(Parser, entrance=self.entrance, peer=str(addr[0]))

    def received(self, data: bytes) -> bool:
        """Take bytes from the socket, unless they come after a refusal."""
        if self._lingering_since is not None:
            if time.monotonic() - self._lingering_since > LINGER_S:
                self.handle_close()
            return False
        taken = bool(super().received(data))
        self._refused = self._refused or any(request.error is not None for request in self.requests)
        return taken

    def handle_close(self) -> None:
        """Close; after a refusal first wait until the client has heard it."""
        if self._refused and self.connected and self._lingering_since is None and self._end_answer():
            return
        if self.request is not None:
            self.request.discard()
            self.request = None
        super().handle_close()

    def _end_answer(self) -> bool:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self._lingering_since = time.monotonic()
        self.will_close = self.close_when_flushed = False
        return True
