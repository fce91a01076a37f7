"""The only module that opens connections: one request, one response, under limits that the other side cannot lift.

No proxy, no `.netrc`, no cookie, no redirect, no reuse of a connection. Connecting, each read and each write have a
timeout. The whole exchange has a deadline in wall-clock time, since a server that sends one byte every few seconds
never exceeds a timeout that restarts with each read. At most `body_cap` bytes of a response are read.

The meaning of a response is decided by each platform's package.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from platforms.http.connections import ConnectionDeadline, PlainConnection, TlsConnection
from platforms.http.failures import TransportFailure, classify

_HEADERS = {
    "User-Agent": "VidProd/0.1",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # no response here is worth the risk of a decompression bomb
}
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
DEADLINE_S = 60.0
BODY_CAP_BYTES = 1_048_576
MAX_RETRY_AFTER_S = 86_400.0
SLOWEST_UPLOAD_BYTES_S = 100_000  # a slower upload is cut by its deadline and resumed

# These loggers write whole addresses, and with them tokens: at DEBUG always, at WARNING when headers are malformed.
for _logger_name in ("urllib3", "urllib3.connectionpool", "requests_oauthlib"):
    logging.getLogger(_logger_name).setLevel(logging.ERROR)


class TransportError(Exception):
    """No usable response came. The message holds no address, since addresses carry secrets.

    Attributes:
        failure: what went wrong.
    """

    def __init__(self, reason: str, failure: TransportFailure | None = None) -> None:
        super().__init__(reason)
        self.failure = failure or TransportFailure("failed", reason)


class NeverSent(TransportError):
    """The connection was never established; no byte of the request was sent."""


class ResponseLost(TransportError):
    """The request was sent, wholly or partly, and no response came back."""


@dataclass(frozen=True)
class Response:
    """A response, whatever its status.

    Attributes:
        body: at most the cap; neither decompressed (we ask for no compression) nor decoded.
        whole: False when the body was longer than the cap or was cut off.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    whole: bool = True

    @property
    def retry_after_s(self) -> float | None:
        """The seconds in Retry-After (a number or an HTTP date), at most a day; None when missing or malformed."""
        return _retry_after_s(self.headers.get("Retry-After", ""))


def _retry_after_s(header: str) -> float | None:
    if header.strip().isascii() and header.strip().isdigit():
        return min(float(header), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


class FileRange:
    """A range of a file as a request body, read from disk while it is sent.

    `requests` calls `__len__` for Content-Length, and checks for `__iter__` to recognise a stream.
    """

    def __init__(self, path: Path, first: int, length: int) -> None:
        self._file = path.open("rb")
        self._file.seek(first)
        self._left = length
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(65_536):
            yield block

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size` and never past the end of the range."""
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._file.read(wanted)
        self._left -= len(block)
        return block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    json: object = None,
    body: bytes | FileRange | None = None,
    deadline_s: float = DEADLINE_S,
    timeout_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
    body_cap: int = BODY_CAP_BYTES,
    body_deadline_s: float | None = None,
    addresses: tuple[str, ...] = (),
) -> Response:
    """Send one request and return its response, whatever its status.

    Args:
        timeout_s: for connecting (and each write), for each read.
        body_deadline_s: at most so long for the response's body, where the status matters and the body does not.
        addresses: IP addresses to connect to instead of asking the resolver, tried in order; the name in the URL is
            still used for Host, SNI and the check of the certificate.

    Raises:
        NeverSent, ResponseLost.
    """
    adapter = LimitedAdapter(
        deadline_s=deadline_s,
        timeout_s=timeout_s,
        body_cap=body_cap,
        body_deadline_s=body_deadline_s,
        addresses=addresses,
    )
    all_headers = {**_HEADERS, **(headers or {})}
    try:
        # Sent by the adapter, not by a session: a session parses the target of a redirect even when told not to follow.
        unprepared = requests.Request(
            method, url, all_headers, data=form if form is not None else body, params=params, json=json
        )
        response = adapter.send(unprepared.prepare())
    except _REQUEST_ERRORS as error:
        # `from None`: the text of the cause holds the address with its query, and so the token.
        raise adapter.transport_error(error) from None
    finally:
        adapter.close()
    return Response(response.status_code, response.headers, response.content, adapter.whole)


def upload_deadline_s(size_bytes: int) -> float:
    """Return the deadline of a request that sends a file range of this size."""
    return DEADLINE_S + size_bytes / SLOWEST_UPLOAD_BYTES_S


_REQUEST_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_SessionT = TypeVar("_SessionT", bound=requests.Session)


def apply_limits(session: _SessionT, adapter: LimitedAdapter) -> _SessionT:
    """Put a session of `requests` under the limits of this module, and return it."""
    session.trust_env = False
    session.max_redirects = 0
    session.headers.update(_HEADERS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class LimitedAdapter(HTTPAdapter):
    """A transport for the successive exchanges of one thread, each under the same limits.

    Attributes:
        whole: whether the last response's body was read to its end.
        status: of the last response; 0 when there was none.
        retry_after_s: of the last response, as `Response.retry_after_s`.
    """

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        timeout_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        body_cap: int = BODY_CAP_BYTES,
        body_deadline_s: float | None = None,
        addresses: tuple[str, ...] = (),
        reroute: tuple[str, str] | None = None,
    ) -> None:
        """Set the limits.

        Args:
            reroute: (real root, root to use instead): for a library that insists on the real address.
        """
        super().__init__()
        self.whole = True
        self.status = 0
        self.retry_after_s: float | None = None
        self._deadline_s = deadline_s
        self._timeout_s = timeout_s
        self._body_cap = body_cap
        self._body_deadline_s = body_deadline_s
        self._addresses = addresses
        self._reroute = reroute
        self._deadline = ConnectionDeadline(0.0)

    def send(self, request: requests.PreparedRequest, *_args: object, **_kwargs: object) -> requests.Response:
        """Send a request and read the response's body before the deadline."""
        if self._reroute and request.url and request.url.startswith(self._reroute[0]):
            request.url = self._reroute[1] + request.url.removeprefix(self._reroute[0])
        with ConnectionDeadline(self._deadline_s) as self._deadline:
            response = super().send(request, stream=True, timeout=self._timeout_s, verify=True, proxies=None)
            if self._deadline.expired:  # cut within the headers, which http.client takes for their end
                raise requests.ConnectionError("deadline passed")
            self.status = response.status_code
            self.retry_after_s = _retry_after_s(response.headers.get("Retry-After", ""))
            if self._body_deadline_s is not None:
                self._deadline.shorten(self._body_deadline_s)
            # The attribute that `requests` itself fills; there is no public way to hand over a body that is read.
            response._content = self._read(response)  # noqa: SLF001
        return response

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # Any: handed through, urllib3's own
        """Put every connection under the deadline and, where addresses are given, connect to them only."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        kind = TlsConnection if isinstance(pool, urllib3.HTTPSConnectionPool) else PlainConnection
        # A partial is all the pool needs: it only calls this attribute.
        vars(pool)["ConnectionCls"] = functools.partial(kind, deadline=self._deadline, addresses=self._addresses)
        return pool

    def transport_error(self, error: Exception) -> TransportError:
        """Return our error for an exception of the last exchange."""
        deadline = self._deadline
        reason = "deadline passed" if deadline.expired else type(error).__name__
        failure = classify(error, expired=deadline.expired, began=deadline.began, connected=deadline.connected)
        return ResponseLost(reason, failure) if deadline.connected else NeverSent(reason, failure)

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        self.whole = False
        try:
            for block in response.iter_content(16_384):
                body += block
                if len(body) > self._body_cap:
                    del body[self._body_cap :]
                    return bytes(body)
            self.whole = not self._deadline.expired
        except _REQUEST_ERRORS:
            pass  # the status has come; whether an incomplete body matters is decided by the caller
        finally:
            response.close()
        return bytes(body)
