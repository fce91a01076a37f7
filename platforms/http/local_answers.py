"""Answers requests of the current context without sending them: for dry runs, and for answers that are kept.

`platforms.http.client.request` asks here first. So what a dry run shows is what the publishers would have sent: there
is no second description of a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import urlencode

from platforms.http.exchange import Response


@dataclass(frozen=True)
class FileSpan:
    """A body that is a range of a file, which is not read."""

    first: int
    length: int


@dataclass(frozen=True)
class OutgoingRequest:
    """A request as a platform's package made it.

    Attributes:
        method: of HTTP.
        url: with its query.
        headers: of the package; those of every request are missing.
        body: a JSON value, the fields of a form, a range of a file, or None.
    """

    method: str
    url: str = field(repr=False)  # may hold a token
    headers: Mapping[str, str] = field(repr=False)
    body: object = field(repr=False)

    def with_query(self, params: Mapping[str, str] | None) -> OutgoingRequest:
        """Return the request with further parameters of the query."""
        if not params:
            return self
        joint = "&" if "?" in self.url else "?"
        return OutgoingRequest(self.method, f"{self.url}{joint}{urlencode(params)}", self.headers, self.body)


Answerer = Callable[[OutgoingRequest], Response | None]
"""Returns the answer to a request; None: the request is sent."""

_answerer: ContextVar[Answerer | None] = ContextVar("_answerer", default=None)


@contextmanager
def answered_by(answerer: Answerer | None) -> Iterator[None]:
    """Let requests of a `with` block be answered here; None: they are sent, also within another such block."""
    token = _answerer.set(answerer)
    try:
        yield
    finally:
        _answerer.reset(token)


def find(request: OutgoingRequest) -> Response | None:
    """Return the answer to a request, or None if it is to be sent."""
    answerer = _answerer.get()
    return None if answerer is None else answerer(request)
