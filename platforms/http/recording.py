"""Records the requests that the current context sends: method, host, path, status, duration; never a secret.

A recorded exchange has neither headers nor bodies nor a query. Of its path only segments stay that cannot be a token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

HIDDEN = "…"
MAX_SEGMENT_CHARS = 24
_WORD = re.compile(r"[a-z._-]*(?:[0-9][a-z._-]*){0,3}")  # such as "ig-api-upload", "v26.0", "video"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and how it ended.

    Attributes:
        at: when it was sent.
        method: of HTTP.
        host: with its port, if that is not the default one.
        path: without the query; segments that may be secrets are hidden.
        http_status: of the response; None: none came.
        duration_ms: until the response was read, or was lost.
        failure: why no response came, for people; None: one came.
    """

    at: datetime
    method: str
    host: str
    path: str
    http_status: int | None
    duration_ms: int
    failure: str | None = None


@dataclass(frozen=True)
class _Recorder:
    exchanges: list[Exchange]
    now: Callable[[], datetime]


_recorder: ContextVar[_Recorder | None] = ContextVar("_recorder", default=None)


@contextmanager
def recorded(now: Callable[[], datetime]) -> Iterator[list[Exchange]]:
    """Record the requests of a `with` block, in the list that it yields."""
    exchanges: list[Exchange] = []
    token = _recorder.set(_Recorder(exchanges, now))
    try:
        yield exchanges
    finally:
        _recorder.reset(token)


class RequestRecord:
    """The measurement of one request; records nothing outside of `recorded`."""

    def __init__(self, method: str, url: str) -> None:
        self._recorder = _recorder.get()
        self._method = method
        self._url = url
        self._began_s = time.monotonic()
        self._at = None if self._recorder is None else self._recorder.now()

    def end(self, http_status: int | None, failure: str | None = None) -> None:
        """Record how the request ended."""
        if self._recorder is None or self._at is None:
            return
        parts = urlsplit(self._url)
        self._recorder.exchanges.append(
            Exchange(
                at=self._at,
                method=self._method,
                host=parts.netloc.rpartition("@")[2],
                path=shown_path(parts.path),
                http_status=http_status,
                duration_ms=round(1000 * (time.monotonic() - self._began_s)),
                failure=failure,
            )
        )


def shown_path(path: str) -> str:
    """Return a path in which each segment that may be a token is hidden; numbers are ids of the platform."""
    return "/".join(segment if _is_harmless(segment) else HIDDEN for segment in path.split("/"))


def _is_harmless(segment: str) -> bool:
    is_id = segment.isascii() and segment.isdigit()
    return len(segment) <= MAX_SEGMENT_CHARS and (is_id or _WORD.fullmatch(segment) is not None)
