"""Taking a multipart/form-data body apart while it comes in, in pieces of any size.

A push parser, because it is fed both by a request that is read from a stream and, without a copy in between, by the
server's own receiver. It keeps at most one block of part headers; bodies are handed on.
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


class BrokenForm(ValueError):
    """The body is not the multipart form that its headers announce."""


class Parts(Protocol):
    """Who takes the parts."""

    def begin(self, name: str, file_name: str | None) -> None:
        """Begin a part; `file_name` is as it came, from a stranger."""

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the part."""

    def end(self) -> None:
        """End the part."""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names.

    Raises:
        BrokenForm: it is no multipart/form-data with a boundary.
    """
    found = _BOUNDARY.match(content_type.strip())
    if found is None:
        raise BrokenForm("the request must be multipart/form-data with a boundary")
    return (found[1] or found[2]).encode("latin-1")


class FormReader:
    """Reads one body; `feed` it, then `finish` it."""

    def __init__(self, boundary: bytes, parts: Parts) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._parts = parts
        self._count = 0
        # As if a line had just ended: the first delimiter may stand at the very beginning.
        self._held = b"\r\n"
        self._not_content = 0  # bytes at the front of `_held` that only a delimiter may begin with
        self._step = self._read_prologue

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            BrokenForm: and whatever `Parts` raises.
        """
        self._held += piece
        while self._step():
            pass

    def finish(self) -> None:
        """End the body.

        Raises:
            BrokenForm: it was cut off.
        """
        if self._step != self._skip_epilogue:
            raise BrokenForm("the form ends before its last boundary: the upload was cut off")

    def _read_prologue(self) -> bool:
        return self._until_delimiter(_drop)

    def _read_body(self) -> bool:
        if not self._until_delimiter(self._parts.write):
            return False
        self._parts.end()
        return True

    def _until_delimiter(self, write: Callable[[bytes], None]) -> bool:
        held = self._held
        at = held.find(self._delimiter)
        if at >= 0:
            if at > self._not_content:
                write(held[self._not_content : at])
            self._held = held[at + len(self._delimiter) :]
            self._step = self._read_delimiter_end
            return True
        # The delimiter may have begun within the last bytes; it does so with the only carriage return in it.
        first_possible = max(len(held) - len(self._delimiter) + 1, 0)
        begun = held.find(b"\r", first_possible)
        keep_from = len(held) if begun < 0 else begun
        if keep_from > self._not_content:
            write(held[self._not_content : keep_from])
            self._held = held[keep_from:]
            self._not_content = 0
        return False

    def _read_delimiter_end(self) -> bool:
        if self._held.startswith(b"--"):
            self._held = b""
            self._step = self._skip_epilogue
            return True
        line, found, rest = self._held.partition(b"\r\n")
        padding = line.strip(b" \t")
        if len(line) > MAX_PADDING_BYTES or (padding and (found or padding not in {b"-", b"\r"})):
            raise BrokenForm("a boundary of the form is followed by something else than a line end")
        if not found:
            return False
        self._held = rest
        self._step = self._read_headers
        return True

    def _read_headers(self) -> bool:
        block, found, rest = self._held.partition(b"\r\n\r\n")
        if len(block) > MAX_HEADER_BYTES:
            raise BrokenForm(f"the headers of a part are longer than {MAX_HEADER_BYTES} bytes")
        if not found:
            return False
        self._count += 1
        if self._count > MAX_PARTS:
            raise BrokenForm(f"the form has more than {MAX_PARTS} parts")
        self._parts.begin(*_name_and_file_name(block))
        # A part without a body ends its headers with the line end that belongs to the next delimiter already.
        self._held = b"\r\n" + rest
        self._not_content = 2
        self._step = self._read_body
        return True

    def _skip_epilogue(self) -> bool:
        self._held = b""
        return False


def _drop(piece: bytes) -> None:
    del piece


def _name_and_file_name(block: bytes) -> tuple[str, str | None]:
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (_text(line).partition(":") for line in block.split(b"\r\n"))
    }
    if headers.get("content-transfer-encoding", "binary").lower() not in {"binary", "8bit", "7bit"}:
        raise BrokenForm("a part is encoded; send it as it is")
    disposition = headers.get("content-disposition", "")
    given = {
        name.lower(): re.sub(r'\\(["\\])', r"\1", quoted) or bare
        for name, quoted, bare in _PARAMETER.findall(disposition)
    }
    if not disposition.lower().startswith("form-data") or "name" not in given:
        raise BrokenForm("a part has no name")
    extended = _EXTENDED.fullmatch(given.get("filename*", ""))
    if extended:
        return given["name"], unquote(extended[2], encoding=extended[1], errors="replace")
    return given["name"], given.get("filename")


def _text(line: bytes) -> str:
    # Browsers send UTF-8; some clients send Latin-1, which is no reason to lose a video.
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
