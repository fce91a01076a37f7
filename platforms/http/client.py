"""The only place that opens connections: one request, one answer, under limits that hold whatever the other side does.

No proxy, no `.netrc`, no cookie, no redirect, no reuse of a connection. Connecting, each read and each write have a
timeout; the whole exchange has a deadline by the clock on the wall, since a server that drips a byte every few seconds
never meets a timeout that starts anew with each read. Of an answer no more than a cap is read.

What an answer means is not known here; that is each platform's own business.
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

from platforms.http.connections import PlainConnection, TlsConnection, Watch

_HEADERS = {
    "User-Agent": "VidProd/0.1",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # no answer here is worth a decompression bomb
}
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
DEADLINE_S = 60.0
BODY_CAP_BYTES = 1_048_576
MAX_RETRY_AFTER_S = 86_400.0
SLOWEST_UPLOAD_BYTES_S = 100_000  # slower than this and the deadline cuts it; the rest is resumed

# They write whole addresses, and with them tokens: at DEBUG always, at WARNING when headers are malformed.
for _talkative in ("urllib3", "urllib3.connectionpool", "requests_oauthlib"):
    logging.getLogger(_talkative).setLevel(logging.ERROR)


class WireError(Exception):
    """No usable answer came. Carries a reason without any address, since addresses carry secrets."""


class NeverSent(WireError):
    """The connection was never made; not a byte of the request left this machine."""


class AnswerLost(WireError):
    """The request left, wholly or partly, and no answer came back."""


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        body: at most the cap; decoded neither from gzip (we ask for none) nor to text.
        whole: False when the body was longer than the cap or broke off.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    whole: bool = True

    @property
    def retry_after_s(self) -> float | None:
        """The seconds that Retry-After (a number or an HTTP date) asks for, at most a day; None: it says nothing."""
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


class FilePart:
    """A range of a file as a request body, read from disk as it is sent.

    `requests` asks for `__len__` to fill in Content-Length, and for `__iter__` to see that it is a stream.
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
    body: bytes | FilePart | None = None,
    deadline_s: float = DEADLINE_S,
    timeout_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
    body_cap: int = BODY_CAP_BYTES,
    addresses: tuple[str, ...] = (),
) -> Reply:
    """Send one request and return its answer, whatever its status.

    Args:
        timeout_s: for connecting (and each write), for each read.
        addresses: IP addresses to connect to instead of asking the resolver, tried in order; the name in the URL still
            goes into Host, SNI and the check of the certificate.

    Raises:
        NeverSent, AnswerLost.
    """
    adapter = Adapter(deadline_s=deadline_s, timeout_s=timeout_s, body_cap=body_cap, addresses=addresses)
    ours = {**_HEADERS, **(headers or {})}
    try:
        # Not by a session, which would look where a redirect leads even when told not to follow it.
        asked = requests.Request(method, url, ours, data=form if form is not None else body, params=params, json=json)
        answer = adapter.send(asked.prepare())
    except _TROUBLE as error:
        # `from None`: the text of the cause holds the address with its query, and so the token.
        raise adapter.trouble(error) from None
    finally:
        adapter.close()
    return Reply(answer.status_code, answer.headers, answer.content, adapter.whole)


_TROUBLE = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_SessionT = TypeVar("_SessionT", bound=requests.Session)


def tame(session: _SessionT, adapter: Adapter) -> _SessionT:
    """Put any session of `requests` under the rules of this module, and return it."""
    session.trust_env = False
    session.max_redirects = 0
    session.headers.update(_HEADERS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class Adapter(HTTPAdapter):
    """A transport for one exchange after another of one thread, each under the same limits.

    Attributes:
        whole: whether the last answer's body was read to its end.
        status: the last answer's; 0 when there was none.
    """

    def __init__(
        self,
        *,
        deadline_s: float = DEADLINE_S,
        timeout_s: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        body_cap: int = BODY_CAP_BYTES,
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
        self._deadline_s = deadline_s
        self._timeout_s = timeout_s
        self._body_cap = body_cap
        self._addresses = addresses
        self._reroute = reroute
        self._watch = Watch(0.0)

    def send(self, request: requests.PreparedRequest, *_args: object, **_kwargs: object) -> requests.Response:
        """Send, and read the answer's body, before the deadline."""
        if self._reroute and request.url and request.url.startswith(self._reroute[0]):
            request.url = self._reroute[1] + request.url.removeprefix(self._reroute[0])
        with Watch(self._deadline_s) as self._watch:
            response = super().send(request, stream=True, timeout=self._timeout_s, verify=True, proxies=None)
            if self._watch.expired:  # cut in the headers, which http.client takes for their end
                raise requests.ConnectionError("deadline passed")
            self.status = response.status_code
            # The attribute that `requests` itself fills; nothing outside can be handed a body that is read already.
            response._content = self._read(response)  # noqa: SLF001
        return response

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # Any: handed through, urllib3's own
        """Make every connection report to the watch and, where addresses are given, connect to them only."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        kind = TlsConnection if isinstance(pool, urllib3.HTTPSConnectionPool) else PlainConnection
        # A partial is all the pool needs: it only calls this attribute.
        vars(pool)["ConnectionCls"] = functools.partial(kind, watch=self._watch, addresses=self._addresses)
        return pool

    def trouble(self, error: Exception) -> WireError:
        """Say what an exception of the last exchange means."""
        why = "deadline passed" if self._watch.expired else type(error).__name__
        return AnswerLost(why) if self._watch.connected else NeverSent(why)

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        self.whole = False
        try:
            for block in response.iter_content(16_384):
                body += block
                if len(body) > self._body_cap:
                    del body[self._body_cap :]
                    return bytes(body)
            self.whole = not self._watch.expired
        except _TROUBLE:
            pass  # the status has come; what it was about is the caller's question
        finally:
            response.close()
        return bytes(body)
