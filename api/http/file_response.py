"""File responses with conditional and range requests (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import IO

import falcon

from api.http import conditional
from api.http.numbers import MAX_INTEGER, parse_integer
from api.http.problems import Problem
from files.errors import Gone
from files.storage import Storage, StoredFile

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


def send_file(
    request: falcon.Request, response: falcon.Response, files: Storage, keys: Sequence[str], media_type: str
) -> None:
    """Respond with the first of some files that exists: 200, 206 for one range, or 304.

    The server sends it from its loop; no thread waits for a slow client.

    Raises:
        Problem: 404 if no file exists, 416 for a range beyond its end.
    """
    file = next((found for key in keys if (found := files.stat(key)) is not None), None)
    if file is None:
        raise _file_not_found()
    size, tag = file.size_bytes, file.version
    response.last_modified = file.modified_at
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
        response.stream = _open(files, file, first, last)
    response.content_length = last - first + 1


def _open(files: Storage, file: StoredFile, first: int, last: int) -> IO[bytes]:
    try:
        return files.open_range(file, first, last)
    except Gone:  # deleted since `stat`
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
