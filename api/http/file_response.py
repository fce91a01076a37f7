"""Sending a file, whole or the part of it that was asked for."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import falcon

from api.http import conditional
from api.http.numbers import MAX_INTEGER, parse_integer
from api.http.problems import Problem, not_found

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


def send(request: falcon.Request, response: falcon.Response, path: Path, media_type: str) -> None:
    """Answer with a file: 200, 206 for one range, 304 when the caller has it, 416 for a range beyond its end.

    The server sends it from its own loop; no thread waits for a slow reader.

    Raises:
        Problem: 404 when there is no such file.
    """
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise _gone() from None
    size = facts.st_size
    tag = f"{facts.st_mtime_ns:x}-{size:x}"
    response.last_modified = datetime.fromtimestamp(facts.st_mtime, UTC)
    response.accept_ranges = "bytes"
    response.cache_control = ["private", "no-cache"]
    if conditional.not_modified(request, response, tag):
        return
    response.content_type = media_type
    wanted = _range(request, tag, size)
    first, last = wanted or (0, size - 1)
    if wanted is not None:
        response.status = falcon.HTTP_206
        response.set_header("Content-Range", f"bytes {first}-{last}/{size}")
    if request.method != "HEAD":
        response.stream = _open(path, first, last)
    response.content_length = last - first + 1


class _Slice(FileIO):
    """A file of which only some bytes are read; waitress, which needs to seek, sends it without our help."""

    def __init__(self, path: Path, first: int, last: int) -> None:
        super().__init__(path, "rb")
        self.seek(first)
        self._end = last + 1

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, none beyond the last one asked for."""
        left = max(self._end - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left)) or b""


def _open(path: Path, first: int, last: int) -> _Slice:
    try:
        return _Slice(path, first, last)
    except FileNotFoundError:  # deleted a moment ago
        raise _gone() from None


def _gone() -> Problem:
    return not_found("file; it may have been deleted")


def _range(request: falcon.Request, tag: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte asked for, or None for the whole file.

    What is not one plain range is ignored, as RFC 9110 allows; so is a range of another version (If-Range).
    """
    found = _RANGE.fullmatch((request.get_header("Range") or "").replace(" ", ""))
    version = request.get_header("If-Range")
    if found is None or not (found[1] or found[2]) or version not in {None, f'"{tag}"'}:
        return None
    first, last = _bounds(found[1], found[2], size)
    if found[1] and found[2] and _position(found[2]) < _position(found[1]):
        return None
    if first >= size or first > last:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "bad_range", f"the file has {size} bytes", headers=headers, size_bytes=size)
    return first, last


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return (max(size - _position(last), 0) if _position(last) else size), size - 1
    return _position(first), min(_position(last), size - 1) if last else size - 1


def _position(digits: str) -> int:
    number = parse_integer(digits.lstrip("0") or "0")
    return MAX_INTEGER if number is None else number  # beyond the end of every file
