"""Sending a file, whole or the part of it that was asked for."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import falcon

from api.jobs import matches
from api.problems import Problem, not_found

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def send(request: falcon.Request, response: falcon.Response, path: Path, media_type: str) -> None:
    """Answer with a file: 200, 206 for one range, 304 when the caller has it, 416 for a range beyond its end.

    The server sends it from its own loop; no thread waits for a slow reader.

    Raises:
        Problem: 404 when there is no such file.
    """
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise not_found("file; it may have been deleted") from None
    try:
        _answer(request, response, path, media_type)
        first = _first_byte(response)
        file.seek(first)
    except BaseException:
        file.close()
        raise
    if request.method == "HEAD" or response.status == falcon.HTTP_304:
        file.close()
    else:
        response.stream = file


def _answer(request: falcon.Request, response: falcon.Response, path: Path, media_type: str) -> None:
    facts = path.stat()
    size = facts.st_size
    tag = f"{facts.st_mtime_ns:x}-{size:x}"
    response.etag = tag
    response.last_modified = datetime.fromtimestamp(facts.st_mtime, UTC)
    response.accept_ranges = "bytes"
    response.cache_control = ["private", "no-cache"]
    if matches(request, tag):
        response.status = falcon.HTTP_304
        return
    response.content_type = media_type
    wanted = _range(request, tag, size)
    if wanted is None:
        response.content_length = size
        return
    first, last = wanted
    response.status = falcon.HTTP_206
    response.set_header("Content-Range", f"bytes {first}-{last}/{size}")
    response.content_length = last - first + 1


def _first_byte(response: falcon.Response) -> int:
    given = response.get_header("Content-Range")
    return int(given.removeprefix("bytes ").partition("-")[0]) if given else 0


def _range(request: falcon.Request, tag: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte asked for, or None for the whole file.

    What is not one plain range is ignored, as RFC 9110 allows; so is a range of another version (If-Range).
    """
    found = _RANGE.fullmatch((request.get_header("Range") or "").replace(" ", ""))
    version = request.get_header("If-Range")
    if found is None or not (found[1] or found[2]) or version not in {None, f'"{tag}"'}:
        return None
    first, last = _bounds(found[1], found[2], size)
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return None
    if first >= size or first > last:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "bad_range", f"the file has {size} bytes", headers=headers, size_bytes=size)
    return first, last


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return (max(size - int(last), 0) if int(last) else size), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
