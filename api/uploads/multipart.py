"""Push parser for multipart/form-data bodies (RFC 7578).

The body arrives in pieces of any size, from a stream or, without a copy in between, from the server's socket. The
parser buffers at most one block of part headers; content is passed on at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import unquote

MAX_PARTS = 32
MAX_HEADER_BYTES = 8192
MAX_PADDING_BYTES = 64

_BOUNDARY = re.compile(r"""multipart/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))""", re.I | re.S)
_PARAMETER = re.compile(r""";\s*([\w!#$&+.^`|~*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))""", re.S)
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[\w-]*'(.*)", re.I | re.S)


class MultipartError(ValueError):
    """The body is not a valid multipart form."""


class PartHandler(Protocol):
    """Receives the parts of a form from the parser."""

    def begin_part(self, name: str, file_name: str | None) -> None:
        """Begin a part; `file_name` is as sent, unchecked."""

    def write_part(self, data: bytes) -> None:
        """Receive the next bytes of the part."""

    def end_part(self) -> None:
        """End the part."""


def parse_boundary(content_type: str) -> bytes:
    """Return the boundary in a Content-Type header.

    Raises:
        MultipartError: the type is not multipart/form-data, or it has no boundary.
    """
    found = _BOUNDARY.match(content_type.strip())
    if found is None:
        raise MultipartError("the request must be multipart/form-data with a boundary")
    return (found[1] or found[2]).encode("latin-1")


class MultipartParser:
    """Parses one body: `feed` its pieces, then `finish`."""

    def __init__(self, boundary: bytes, handler: PartHandler) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._handler = handler
        self._count = 0
        # The first delimiter needs no line end before it.
        self._buffer = b"\r\n"
        self._not_content = 0  # leading bytes of `_buffer` that may begin a delimiter but are no content
        self._step = self._read_prologue

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of the body.

        Raises:
            MultipartError: the form is malformed. Errors of the handler are passed through.
        """
        self._buffer += data
        while self._step():
            pass

    def finish(self) -> None:
        """End the body.

        Raises:
            MultipartError: the last boundary is missing.
        """
        if self._step != self._skip_epilogue:
            raise MultipartError("the form ends before its last boundary: the upload is incomplete")

    def _read_prologue(self) -> bool:
        return self._until_delimiter(_drop)

    def _read_body(self) -> bool:
        if not self._until_delimiter(self._handler.write_part):
            return False
        self._handler.end_part()
        return True

    def _until_delimiter(self, write: Callable[[bytes], None]) -> bool:
        buffer = self._buffer
        at = buffer.find(self._delimiter)
        if at >= 0:
            if at > self._not_content:
                write(buffer[self._not_content : at])
            self._buffer = buffer[at + len(self._delimiter) :]
            self._step = self._read_delimiter_end
            return True
        # A delimiter may begin within the last bytes; it begins with its only carriage return.
        first_possible = max(len(buffer) - len(self._delimiter) + 1, 0)
        begin = buffer.find(b"\r", first_possible)
        keep_from = len(buffer) if begin < 0 else begin
        if keep_from > self._not_content:
            write(buffer[self._not_content : keep_from])
            self._buffer = buffer[keep_from:]
            self._not_content = 0
        return False

    def _read_delimiter_end(self) -> bool:
        if self._buffer.startswith(b"--"):
            self._buffer = b""
            self._step = self._skip_epilogue
            return True
        line, found, rest = self._buffer.partition(b"\r\n")
        padding = line.strip(b" \t")
        if len(line) > MAX_PADDING_BYTES or (padding and (found or padding not in {b"-", b"\r"})):
            raise MultipartError("a boundary of the form is not followed by a line end")
        if not found:
            return False
        self._buffer = rest
        self._step = self._read_headers
        return True

    def _read_headers(self) -> bool:
        block, found, rest = self._buffer.partition(b"\r\n\r\n")
        if len(block) > MAX_HEADER_BYTES:
            raise MultipartError(f"the headers of a part are longer than {MAX_HEADER_BYTES} bytes")
        if not found:
            return False
        self._count += 1
        if self._count > MAX_PARTS:
            raise MultipartError(f"the form has more than {MAX_PARTS} parts")
        self._handler.begin_part(*_name_and_file_name(block))
        # After an empty part, the line end of its headers is also that of the next delimiter.
        self._buffer = b"\r\n" + rest
        self._not_content = 2
        self._step = self._read_body
        return True

    def _skip_epilogue(self) -> bool:
        self._buffer = b""
        return False


def _drop(data: bytes) -> None:
    del data


def _name_and_file_name(block: bytes) -> tuple[str, str | None]:
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (_text(line).partition(":") for line in block.split(b"\r\n"))
    }
    if headers.get("content-transfer-encoding", "binary").lower() not in {"binary", "8bit", "7bit"}:
        raise MultipartError("a part has a transfer encoding; send it without one")
    disposition = headers.get("content-disposition", "")
    given = {
        name.lower(): re.sub(r'\\(["\\])', r"\1", quoted) or bare
        for name, quoted, bare in _PARAMETER.findall(disposition)
    }
    if not disposition.lower().startswith("form-data") or "name" not in given:
        raise MultipartError("a part has no name")
    extended = _EXTENDED.fullmatch(given.get("filename*", ""))
    if extended:
        return given["name"], unquote(extended[2], encoding=extended[1], errors="replace")
    return given["name"], given.get("filename")


def _text(line: bytes) -> str:
    # Browsers send UTF-8. Some clients send Latin-1, for which no upload is refused.
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
