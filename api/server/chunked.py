"""Decoder of chunked request bodies (RFC 9112, section 7.1), with limits.

The decoder of waitress copies the rest of the received bytes at every chunk: 256 kB in chunks of one byte take 0.57 s
of the server's loop (measured 2026-11-29). This one copies only the content, and refuses bodies that consist of
framing: after 0.008 s in that case.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any

from api.http.problems import Problem

MAX_LINE_BYTES = 1024
MAX_TRAILER_BYTES = 8192

FREE_CHUNKS = 1000
BYTES_PER_CHUNK = 256
"""Minimum mean size of the chunks after the first `FREE_CHUNKS`. Browsers, curl and Node send 16 to 64 kB."""

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,12}")


class _State(Enum):
    SIZE = auto()  # a line with the size of the next chunk
    DATA = auto()
    DATA_END = auto()  # the line end after a chunk
    TRAILER = auto()  # trailer lines, until an empty one


class ChunkedReceiver:
    """Decodes a chunked body into a buffer, with the interface of `waitress.receiver.ChunkedReceiver`."""

    error = None  # errors are raised

    def __init__(self, buf: Any) -> None:  # Any: a buffer of waitress or one of an upload
        self.buf = buf
        self.completed = False
        self._state = _State.SIZE
        self._line = b""  # the beginning of an incomplete line
        self._left = 0  # bytes of the current chunk
        self._chunks = 0
        self._bytes = 0
        self._trailer_bytes = 0

    def __len__(self) -> int:
        return len(self.buf)

    def getbuf(self) -> Any:  # Any: as above
        """Return the buffer."""
        return self.buf

    def getfile(self) -> Any:  # Any: as above
        """Return the file of the buffer."""
        return self.buf.getfile()

    def received(self, data: bytes) -> int:
        """Decode bytes; return how many were consumed.

        Raises:
            Problem: 400 if the encoding is malformed or consists of tiny chunks.
        """
        position = 0
        pieces: list[bytes] = []
        try:
            while position < len(data) and not self.completed:
                if self._state is _State.DATA:
                    piece = data[position : position + self._left]
                    pieces.append(piece)
                    self._bytes += len(piece)
                    position += len(piece)
                    self._left -= len(piece)
                    if not self._left:
                        self._state = _State.DATA_END
                else:
                    position = self._take_line(data, position)
        finally:
            if pieces:
                self.buf.append(b"".join(pieces))
        return position

    def _take_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        self._line += data[position : end + 1 if end >= 0 else len(data)]
        if len(self._line) > MAX_LINE_BYTES:
            raise _malformed("a line is too long")
        if end < 0:
            return len(data)
        if not self._line.endswith(b"\r\n"):
            raise _malformed("a line does not end with CR LF")
        line, self._line = self._line[:-2], b""
        self._end_line(line)
        return end + 1

    def _end_line(self, line: bytes) -> None:
        if self._state is _State.TRAILER:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_TRAILER_BYTES:
                raise _malformed("the trailer is too long")
            self.completed = not line
        elif self._state is _State.DATA_END:
            if line:
                raise _malformed("a chunk is longer than its size")
            self._state = _State.SIZE
        else:
            self._begin_chunk(line)

    def _begin_chunk(self, line: bytes) -> None:
        size, _, extension = line.partition(b";")
        if not _SIZE.fullmatch(size) or b"\r" in extension or b"\0" in extension:
            raise _malformed("the size of a chunk is malformed")
        self._left = int(size, 16)
        self._state = _State.DATA if self._left else _State.TRAILER
        self._chunks += 1
        if self._chunks > FREE_CHUNKS + self._bytes // BYTES_PER_CHUNK:
            raise Problem(
                400,
                "tiny_chunks",
                f"the chunks of the body are too small: send at least {BYTES_PER_CHUNK} bytes in each",
                minimum_chunk_bytes=BYTES_PER_CHUNK,
            )


def _malformed(reason: str) -> Problem:
    return Problem(400, "bad_request", f"the chunked encoding of the body is malformed: {reason}")
