"""Checks of a request's head by RFC 9112, beyond those of waitress.

Two servers that see different ends of a request are fooled by its sender: what the one takes for a body the other
takes for the next request. A head whose framing is ambiguous is therefore refused.
"""

from __future__ import annotations

import re
from collections import Counter

from api.http.problems import Problem

MAX_HEADERS = 100
"""Maximum number of header lines; a head of 32 kB with 6,500 headers takes more than 1 MB as a dictionary."""

_SINGLE = frozenset(
    {b"authorization", b"content-length", b"content-type", b"cookie", b"expect", b"host", b"transfer-encoding"}
)
_HOST = re.compile(rb"[A-Za-z0-9.\-_~%]*(:[0-9]*)?|\[[0-9A-Fa-f:.]+\](:[0-9]*)?")
_REQUEST_LINE_END = re.compile(rb" HTTP/1\.[01]\Z")


def check_head(head: bytes) -> None:
    """Refuse a head that is malformed or ambiguous.

    Args:
        head: request line and header lines with their line ends.

    Raises:
        Problem: 400, 431 for too many header lines, 505 for another version than HTTP/1.0 and HTTP/1.1.
    """
    first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
    if len(lines) > MAX_HEADERS:
        detail = f"a request may have at most {MAX_HEADERS} header lines"
        raise Problem(431, "too_many_headers", detail, limit_headers=MAX_HEADERS)
    first = first.rstrip()
    if not _REQUEST_LINE_END.search(first):
        raise Problem(505, "http_version", "the server speaks HTTP/1.1")
    if any(line[:1] in {b" ", b"\t"} for line in lines):
        raise _malformed("a header is continued on another line")
    fields = [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
    for name, count in Counter(name for name, _ in fields).items():
        if count > 1 and name in _SINGLE:
            raise _malformed(f"the header {name.decode('latin-1')} is given twice")
    _check_fields(dict(fields), http_1_1=first.endswith(b"1.1"))


def _check_fields(fields: dict[bytes, bytes], *, http_1_1: bool) -> None:
    host, coding = fields.get(b"host"), fields.get(b"transfer-encoding")
    if http_1_1 and host is None:
        raise _malformed("the header host is missing")
    if host is not None and not _HOST.fullmatch(host):
        raise _malformed("the header host is malformed")
    if coding is None:
        return
    if b"content-length" in fields:
        raise _malformed("content-length and transfer-encoding exclude each other")
    if not http_1_1:
        raise _malformed("HTTP/1.0 has no transfer-encoding")
    if b"," in coding and b"chunked" in coding.lower():
        raise _malformed("chunked must be the only transfer-encoding")


def _malformed(reason: str) -> Problem:
    return Problem(400, "bad_request", f"the request is malformed: {reason}")
