"""The adapter of `requests` that keeps the limits of `platforms.http.client`.

`requests`, urllib3 and what they import take 6 MB. A process that connects to nobody, such as the API most of the time,
never imports this module: `platforms.http.client` does at the first request.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from platforms.http import fencing
from platforms.http.connections import ConnectionDeadline, PlainConnection, TlsConnection
from platforms.http.exchange import (
    BODY_CAP_BYTES,
    CONNECT_TIMEOUT_S,
    DEADLINE_S,
    READ_TIMEOUT_S,
    NeverSent,
    ResponseLost,
    TransportError,
    retry_after_s,
)
from platforms.http.failures import classify

HEADERS = {
    "User-Agent": "VidProd/0.1",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # no response here is worth the risk of a decompression bomb
}
REQUEST_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)

# These loggers write whole addresses, and with them tokens: at DEBUG always, at WARNING when headers are malformed.
for _logger_name in ("urllib3", "urllib3.connectionpool", "requests_oauthlib"):
    logging.getLogger(_logger_name).setLevel(logging.ERROR)

_SessionT = TypeVar("_SessionT", bound=requests.Session)


def apply_limits(session: _SessionT, adapter: LimitedAdapter) -> _SessionT:
    """Put a session of `requests` under the limits of this module, and return it."""
    session.trust_env = False
    session.max_redirects = 0
    session.headers.update(HEADERS)
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
        """Send a request and read the response's body before the deadline, and while the fence of the thread allows.

        Raises:
            BaseException: that of the fence.
        """
        fence = fencing.current()
        try:
            return self._send(request, fence)
        except REQUEST_ERRORS as error:
            failed: Exception = error
        fence.check()  # not while `failed` is handled: it names the address, and would be shown as the context
        try:
            raise failed
        finally:
            del failed  # its traceback holds this frame

    def _send(self, request: requests.PreparedRequest, fence: fencing.Fence) -> requests.Response:
        if self._reroute and request.url and request.url.startswith(self._reroute[0]):
            request.url = self._reroute[1] + request.url.removeprefix(self._reroute[0])
        with ConnectionDeadline(self._deadline_s) as self._deadline, fence.ending(self._deadline.expire):
            response = super().send(request, stream=True, timeout=self._timeout_s, verify=True, proxies=None)
            if self._deadline.expired:  # cut within the headers, which http.client takes for their end
                raise requests.ConnectionError("deadline passed")
            self.status = response.status_code
            self.retry_after_s = retry_after_s(response.headers.get("Retry-After", ""))
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
        except REQUEST_ERRORS:
            pass  # the status has come; whether an incomplete body matters is decided by the caller
        finally:
            response.close()
        return bytes(body)
