"""The only module that opens connections: one request, one response, under limits that the other side cannot lift.

No proxy, no `.netrc`, no cookie, no redirect, no reuse of a connection. Connecting, each read and each write have a
timeout. The whole exchange has a deadline in wall-clock time, since a server that sends one byte every few seconds
never exceeds a timeout that restarts with each read. At most `body_cap` bytes of a response are read.

The meaning of a response is decided by each platform's package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from platforms.http import local_answers
from platforms.http.exchange import (
    BODY_CAP_BYTES,
    CONNECT_TIMEOUT_S,
    DEADLINE_S,
    READ_TIMEOUT_S,
    NeverSent,
    Response,
    ResponseLost,
    TransportError,
)
from platforms.http.local_answers import FileSpan, OutgoingRequest
from platforms.http.recording import RequestRecord

SLOWEST_UPLOAD_BYTES_S = 100_000  # a slower upload is cut by its deadline and resumed


class FileRange:
    """A range of a file as a request body, read from disk while it is sent.

    `requests` calls `__len__` for Content-Length, and checks for `__iter__` to recognise a stream.
    """

    def __init__(self, path: Path, first: int, length: int) -> None:
        self._file = path.open("rb")
        self._file.seek(first)
        self._left = length
        self._length = length
        self.first = first

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
    described = FileSpan(body.first, len(body)) if isinstance(body, FileRange) else body or None
    shown = next((given for given in (json, form, described) if given is not None), None)
    outgoing = OutgoingRequest(method, url, headers or {}, shown)
    if (answer := local_answers.find(outgoing.with_query(params))) is not None:
        return answer
    import requests  # noqa: PLC0415 (see `platforms.http.adapter`)

    from platforms.http.adapter import HEADERS, REQUEST_ERRORS, LimitedAdapter  # noqa: PLC0415 (as above)

    adapter = LimitedAdapter(
        deadline_s=deadline_s,
        timeout_s=timeout_s,
        body_cap=body_cap,
        body_deadline_s=body_deadline_s,
        addresses=addresses,
    )
    all_headers = {**HEADERS, **(headers or {})}
    record = RequestRecord(method, url)
    try:
        # Sent by the adapter, not by a session: a session parses the target of a redirect even when told not to follow.
        unprepared = requests.Request(
            method, url, all_headers, data=form if form is not None else body, params=params, json=json
        )
        response = adapter.send(unprepared.prepare())
    except REQUEST_ERRORS as error:
        lost = adapter.transport_error(error)
        record.end(None, lost.failure.detail)
        try:
            # `from None`: the text of the cause holds the address with its query, and so the token.
            raise lost from None
        finally:
            del lost  # its traceback holds this frame: the two would keep the socket until garbage is collected
    finally:
        adapter.close()
    record.end(response.status_code)
    return Response(response.status_code, response.headers, response.content, adapter.whole)


def upload_deadline_s(size_bytes: int) -> float:
    """Return the deadline of a request that sends a file range of this size."""
    return DEADLINE_S + size_bytes / SLOWEST_UPLOAD_BYTES_S


__all__ = [
    "DEADLINE_S",
    "FileRange",
    "NeverSent",
    "Response",
    "ResponseLost",
    "TransportError",
    "request",
    "upload_deadline_s",
]
