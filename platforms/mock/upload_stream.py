"""Writes upload bodies into the upload's file as they arrive, so an interrupted upload leaves what was received.

waitress by itself collects a body first and discards an incomplete one. Its parser is replaced by one that asks the
platform, as soon as the headers are complete, where the body is stored. The parser also applies faults.
"""

from __future__ import annotations

import io
import os
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_plus

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.receiver import FixedStreamReceiver
from waitress.task import WSGITask

from platforms.mock.faults import Fault
from platforms.mock.storage import open_at

RECEIVED_HEADER = "X-Mock-Received"
"""Request header that tells the application: the body is in the upload's file already."""
LOSE_HEADER = "X-Mock-Lose"
"""Response header by which the application asks that its response is not sent."""


@dataclass(frozen=True)
class UploadRequest:
    """A request whose headers are complete; header names are spelt like CONTENT_RANGE."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class UploadTarget:
    """The place where a body is stored: this file, from `offset` on."""

    path: Path
    offset: int


FindTarget = Callable[[UploadRequest], UploadTarget | None]
"""Returns where a body is stored; None when the request is no upload, or not acceptable."""

Strike = Callable[[str], Fault | None]
"""Returns the fault that strikes "METHOD /path?query"."""


class _FileBuffer:
    """A body buffer for waitress that writes through to a file; after `limit` bytes it is full."""

    def __init__(self, target: UploadTarget | None, limit: int | None) -> None:
        self._descriptor = None if target is None else open_at(target.path, target.offset)
        self._limit = limit
        self._received = 0
        self.full = limit == 0

    def append(self, block: bytes) -> None:
        if self._limit is not None:
            block = block[: self._limit - self._received]
        self._received += len(block)
        self.full = self._limit is not None and self._received >= self._limit
        while block and self._descriptor is not None:
            block = block[os.write(self._descriptor, block) :]

    def __len__(self) -> int:
        return self._received

    def getfile(self) -> BinaryIO:
        return io.BytesIO()  # the application reads the upload's file instead

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def channel_class(find_target: FindTarget, strike: Strike) -> type[HTTPChannel]:
    """Return a channel class for waitress that stores uploads directly and applies faults."""

    class MockParser(_UploadParser):
        def find_target(self, request: UploadRequest) -> UploadTarget | None:
            return find_target(request)

        def strike(self, request_line: str) -> Fault | None:
            return strike(request_line)

    class MockChannel(_UploadChannel):
        parser_class = MockParser

    return MockChannel


class _UploadParser(HTTPRequestParser):  # type: ignore[misc]  # waitress ships no types
    """The parser of one request, which may be an upload and may meet a fault."""

    fault: Fault | None = None
    cut = False

    @abstractmethod
    def find_target(self, request: UploadRequest) -> UploadTarget | None:
        """Return where the body is stored."""

    @abstractmethod
    def strike(self, request_line: str) -> Fault | None:
        """Return the fault that strikes this request."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self.headers.pop("X_MOCK_RECEIVED", None)
        # waitress drops headers with an underscore in their name; Meta's file_size has one.
        if found := re.search(rb"\r\nfile_size: *(\d{1,15})\r\n", header_plus + b"\r\n", re.IGNORECASE):
            self.headers["FILE_SIZE"] = found[1].decode()
        self.fault = self.strike(f"{self.command} {self.path}?{unquote_plus(self.query)}")
        cuts = self.fault is not None and self.fault.kind == "cut" and self.fault.after_bytes <= self.content_length
        replaced = self.fault is not None and self.fault.kind == "answer"
        request = UploadRequest(self.command, self.path, self.query, self.headers)
        target = None if replaced else self.find_target(request)
        if isinstance(self.body_rcv, FixedStreamReceiver) and (target or cuts):
            limit = self.fault.after_bytes if cuts and self.fault else None
            self.body_rcv.buf = _FileBuffer(target, limit)
            self.headers["X_MOCK_RECEIVED"] = "1"
        self.cut = cuts and self.fault is not None and self.fault.after_bytes == 0

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        buffer = self.body_rcv.buf if isinstance(self.body_rcv, FixedStreamReceiver) else None
        if self.cut or (isinstance(buffer, _FileBuffer) and buffer.full):
            # Left incomplete, so that the application never gets the request; the channel closes the connection.
            self.cut, self.completed = True, False
        return consumed

    def abandon(self) -> None:
        """Close the file of a body that will not be completed."""
        if isinstance(self.body_rcv, FixedStreamReceiver) and isinstance(self.body_rcv.buf, _FileBuffer):
            self.body_rcv.buf.close()


class _UploadTask(WSGITask):  # type: ignore[misc]  # waitress ships no types
    """Runs the application; drops a response that carries `LOSE_HEADER`."""

    def build_response_header(self) -> bytes:
        if any(name.lower() == LOSE_HEADER.lower() for name, _ in self.response_headers):
            raise ClientDisconnected
        header: bytes = super().build_response_header()
        return header

    def get_environment(self) -> dict[str, Any]:  # Any: WSGI
        environ: dict[str, Any] = super().get_environment()
        environ["mock.fault"] = getattr(self.request, "fault", None)
        return environ


class _UploadChannel(HTTPChannel):  # type: ignore[misc]  # waitress ships no types
    """One connection."""

    task_class = _UploadTask

    def received(self, data: bytes) -> bool:
        keep_reading: bool = super().received(data)
        if self.request is not None and getattr(self.request, "cut", False):
            self.handle_close()
            return False
        return keep_reading

    def handle_close(self) -> None:
        if isinstance(self.request, _UploadParser):
            self.request.abandon()
        super().handle_close()
