"""File responses with conditional and range requests (RFC 9110)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import falcon

from api.http import conditional
from api.http.numbers import MAX_INTEGER, parse_integer
from api.http.problems import Problem

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


def send_file(request: falcon.Request, response: falcon.Response, path: Path, media_type: str) -> None:
    """Respond with a file: 200, 206 for one range, or 304.

    The server sends it from its loop; no thread waits for a slow client.

    Raises:
        Problem: 404 if the file does not exist, 416 for a range beyond its end.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise _file_not_found() from None
    size = status.st_size
    tag = f"{status.st_mtime_ns:x}-{size:x}"
    response.last_modified = datetime.fromtimestamp(status.st_mtime, UTC)
    response.accept_ranges = "bytes"
    response.cache_control = ["private", "no-cache"]
    if conditional.not_modified(request, response, tag):
        return
    response.content_type = media_type
    byte_range = _parse_range(request, tag, size)
    first, last = byte_range or (0, size - 1)
    if byte_range is not None:
        response.status = falcon.HTTP_206
        response.set_header("Content-Range", f"bytes {first}-{last}/{size}")
    if request.method != "HEAD":
        response.stream = _open(path, first, last)
    response.content_length = last - first + 1


class _Slice(FileIO):
    """A file limited to a range of bytes; seekable, so that waitress sends it itself."""

    def __init__(self, path: Path, first: int, last: int) -> None:
        super().__init__(path, "rb")
        self.seek(first)
        self._end = last + 1

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes of the range."""
        left = max(self._end - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left)) or b""


def _open(path: Path, first: int, last: int) -> _Slice:
    try:
        return _Slice(path, first, last)
    except FileNotFoundError:  # deleted since `stat`
        raise _file_not_found() from None


def _file_not_found() -> Problem:
    return Problem(404, "not_found", "file not found; it may have been deleted")


def _parse_range(request: falcon.Request, tag: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte of the requested range, or None for the whole file.

    Anything but a single range is ignored, as RFC 9110 allows; so is a range of another version (If-Range).
    """
    match = _RANGE.fullmatch((request.get_header("Range") or "").replace(" ", ""))
    version = request.get_header("If-Range")
    if match is None or not (match[1] or match[2]) or version not in {None, f'"{tag}"'}:
        return None
    first, last = _bounds(match[1], match[2], size)
    if match[1] and match[2] and _position(match[2]) < _position(match[1]):
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
    return MAX_INTEGER if number is None else number  # beyond the end of any file
