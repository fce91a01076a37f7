"""How the mock takes bytes: straight into the upload's file as they arrive, so that a cut upload leaves what came.

waitress by itself collects a body first and throws a half-received one away. Its parser is replaced by one that asks
the platform, as soon as the headers are in, where the body belongs; it also lets faults strike.
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
from platforms.mock.shelf import write_at


@dataclass(frozen=True)
class Place:
    """Where a body belongs: bytes from `offset` on, of this file."""

    path: Path
    offset: int


Admit = Callable[[str, str, str, Mapping[str, str]], Place | None]
"""(method, path, query, headers like CONTENT_RANGE) → where the body belongs; None: no upload, or not acceptable."""

Strike = Callable[[str], Fault | None]
""""METHOD /path?query" → the fault that this request meets."""


class _Spill:
    """A buffer, as waitress sees it, that writes at once and through; `limit` bytes at most, then it says `full`."""

    def __init__(self, place: Place | None, limit: int | None) -> None:
        self._descriptor = None if place is None else write_at(place.path, place.offset)
        self._limit = limit
        self._taken = 0
        self.full = limit == 0

    def append(self, block: bytes) -> None:
        if self._limit is not None:
            block = block[: self._limit - self._taken]
        self._taken += len(block)
        self.full = self._limit is not None and self._taken >= self._limit
        while block and self._descriptor is not None:
            block = block[os.write(self._descriptor, block) :]

    def __len__(self) -> int:
        return self._taken

    def getfile(self) -> BinaryIO:
        return io.BytesIO()  # the application finds the bytes in the upload's file

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def channel_class(admit: Admit, strike: Strike) -> type[HTTPChannel]:
    """Return a channel for waitress that takes uploads directly and lets faults strike."""

    class Parser(_Parser):
        def admit(self, method: str, path: str, query: str) -> Place | None:
            return admit(method, path, query, self.headers)

        def strike(self, request_line: str) -> Fault | None:
            return strike(request_line)

    class Channel(_Channel):
        parser_class = Parser

    return Channel


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress ships no types
    """A request that may be an upload, and that may meet a fault."""

    fault: Fault | None = None
    cut = False

    @abstractmethod
    def admit(self, method: str, path: str, query: str) -> Place | None:
        """Say where this request's body belongs."""

    @abstractmethod
    def strike(self, request_line: str) -> Fault | None:
        """Say which fault this request meets."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self.headers.pop("X_MOCK_TAKEN", None)
        # waitress drops headers with an underscore in their name; Meta's file_size has one.
        if found := re.search(rb"\r\nfile_size: *(\d{1,15})\r\n", header_plus + b"\r\n", re.IGNORECASE):
            self.headers["FILE_SIZE"] = found[1].decode()
        self.fault = self.strike(f"{self.command} {self.path}?{unquote_plus(self.query)}")
        cuts = self.fault is not None and self.fault.kind == "cut"
        untouched = self.fault is not None and self.fault.kind == "answer"
        place = None if untouched else self.admit(self.command, self.path, self.query)
        if isinstance(self.body_rcv, FixedStreamReceiver) and (place or cuts):
            limit = self.fault.after_bytes if cuts and self.fault else None
            self.body_rcv.buf = _Spill(place, limit)
            self.headers["X_MOCK_TAKEN"] = "1"
        self.cut = cuts and self.fault is not None and self.fault.after_bytes == 0

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        spill = self.body_rcv.buf if isinstance(self.body_rcv, FixedStreamReceiver) else None
        if self.cut or (isinstance(spill, _Spill) and spill.full):
            # Not complete, so that the application never sees it; the channel closes the connection.
            self.cut, self.completed = True, False
        return consumed

    def abandon(self) -> None:
        """Let go of the file of a body that will not be completed."""
        if isinstance(self.body_rcv, FixedStreamReceiver) and isinstance(self.body_rcv.buf, _Spill):
            self.body_rcv.buf.close()


class _Task(WSGITask):  # type: ignore[misc]  # waitress ships no types
    """Runs the application; forgets the answer when the application marked it so."""

    def build_response_header(self) -> bytes:
        if any(name.lower() == "x-mock-lose" for name, _ in self.response_headers):
            raise ClientDisconnected
        header: bytes = super().build_response_header()
        return header

    def get_environment(self) -> dict[str, Any]:  # Any: WSGI
        environ: dict[str, Any] = super().get_environment()
        environ["mock.fault"] = getattr(self.request, "fault", None)
        return environ


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress ships no types
    """One connection."""

    task_class = _Task

    def received(self, data: bytes) -> bool:
        went_on: bool = super().received(data)
        if self.request is not None and getattr(self.request, "cut", False):
            self.handle_close()
            return False
        return went_on

    def handle_close(self) -> None:
        if isinstance(self.request, _Parser):
            self.request.abandon()
        super().handle_close()
