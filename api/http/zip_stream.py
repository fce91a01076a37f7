"""A ZIP archive of files that are stored, not compressed, as one seekable stream of known length.

Nothing is written: the headers are made in memory, and the bytes of the files are read when they are sent. Each header
has the checksum and the size of its file, so that any program can unpack the archive while it arrives. ZIP64 fields
are there only where a number needs them. Source: APPNOTE.TXT of PKWARE, version 6.3.10, sections 4.3 and 4.5.3.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO

MAX_32 = 0xFFFF_FFFF
MAX_16 = 0xFFFF
VERSION, VERSION_ZIP64 = 20, 45
UTF_8_NAME = 1 << 11
REGULAR_FILE = 0o100644 << 16
BLOCK_BYTES = 1_048_576


@dataclass(frozen=True)
class Member:
    """A file of an archive.

    Attributes:
        path: of the file.
        name: in the archive.
        size_bytes: of the file.
        crc: CRC-32 of its bytes.
        modified: shown by programs that unpack; between 1980 and 2107.
        version: of the file: what `os.stat` says of it when the checksum is made.
    """

    path: Path
    name: str
    size_bytes: int
    crc: int
    modified: datetime
    version: tuple[int, int] = (0, 0)


def member(path: Path, name: str, modified: datetime) -> Member:
    """Return a file as a member, after reading it once for its checksum.

    Raises:
        FileNotFoundError: it was deleted.
    """
    version = _version(path.stat())
    return Member(path, name, version[0], _checksum(path, version), modified, version)


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _checksum(path: Path, version: tuple[int, int]) -> int:
    """Return the CRC-32 of a version of a file."""
    del version
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
    return crc


class ZipStream(io.RawIOBase):
    """The bytes of an archive; at most one file of it is open at a time."""

    def __init__(self, members: Sequence[Member], borrowed: ExitStack | None = None) -> None:
        """Lay out the archive.

        Args:
            members: its files.
            borrowed: closed with the stream: holds the files where they are.
        """
        super().__init__()
        self._borrowed = borrowed or ExitStack()
        self._pieces: list[bytes | Member] = []
        self._starts: list[int] = []
        self._end = 0
        self._position = 0
        self._open: tuple[Member, IO[bytes]] | None = None
        self._lay_out(members)

    @property
    def size_bytes(self) -> int:
        """The size of the archive."""
        return self._end

    def _lay_out(self, members: Sequence[Member]) -> None:
        directory = []
        for one in members:
            directory.append(_central_header(one, self._end))
            header = _local_header(one)
            self._add(header, len(header))
            self._add(one, one.size_bytes)
        central = b"".join(directory)
        tail = central + _end_records(len(members), len(central), self._end)
        self._add(tail, len(tail))

    def _add(self, piece: bytes | Member, size_bytes: int) -> None:
        self._starts.append(self._end)
        self._pieces.append(piece)
        self._end += size_bytes

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: the server sends seekable streams without a thread."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes.

        Raises:
            OSError: a file was deleted or changed since; what was sent of the archive is useless.
        """
        left = max(self._end - self._position, 0)
        wanted = left if size < 0 else min(size, left)
        found = bytearray()
        while len(found) < wanted:
            found += self._read_piece(wanted - len(found))
        return bytes(found)

    def _read_piece(self, wanted: int) -> bytes:
        """Return bytes of the piece at the position, at least one."""
        index = bisect_right(self._starts, self._position) - 1
        piece, offset = self._pieces[index], self._position - self._starts[index]
        if isinstance(piece, bytes):
            block = piece[offset : offset + wanted]
        else:
            block = self._read_file(piece, offset, min(wanted, piece.size_bytes - offset))
        self._position += len(block)
        return block

    def _read_file(self, piece: Member, offset: int, wanted: int) -> bytes:
        file = self._opened(piece)
        file.seek(offset)
        block = file.read(wanted)
        if not block:
            raise OSError(f"{piece.name}: the file has become shorter")
        return block

    def _opened(self, piece: Member) -> IO[bytes]:
        if self._open is not None and self._open[0] is piece:
            return self._open[1]
        self._close_file()
        file = piece.path.open("rb")
        self._open = piece, file
        if _version(os.fstat(file.fileno())) != piece.version:  # rendered anew meanwhile
            raise OSError(f"{piece.name}: the file has changed")
        return file

    def _close_file(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def close(self) -> None:
        """Close the open file, and give back what was borrowed."""
        self._close_file()
        self._borrowed.close()
        super().close()


def _local_header(one: Member) -> bytes:
    name, is_large = one.name.encode(), one.size_bytes >= MAX_32
    extra = struct.pack("<HHQQ", 1, 16, one.size_bytes, one.size_bytes) if is_large else b""
    size = MAX_32 if is_large else one.size_bytes
    version = VERSION_ZIP64 if is_large else VERSION
    head = struct.pack(
        "<4sHHHHHIIIHH",
        *(b"PK\x03\x04", version, UTF_8_NAME, 0, *_dos_time(one.modified), one.crc, size, size, len(name), len(extra)),
    )
    return head + name + extra


def _central_header(one: Member, offset: int) -> bytes:
    name, is_large, is_far = one.name.encode(), one.size_bytes >= MAX_32, offset >= MAX_32
    numbers = [one.size_bytes, one.size_bytes] if is_large else []
    numbers += [offset] if is_far else []
    extra = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
    size = MAX_32 if is_large else one.size_bytes
    version = VERSION_ZIP64 if numbers else VERSION
    head = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        *(b"PK\x01\x02", 3 << 8 | version, version, UTF_8_NAME, 0, *_dos_time(one.modified), one.crc, size, size),
        *(len(name), len(extra), 0, 0, 0, REGULAR_FILE, MAX_32 if is_far else offset),
    )
    return head + name + extra


def _end_records(count: int, size_bytes: int, offset: int) -> bytes:
    """Return the records after the central directory, which begins at an offset."""
    short = (min(count, MAX_16), min(count, MAX_16), min(size_bytes, MAX_32), min(offset, MAX_32))
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, *short, 0)
    if max(count - MAX_16, size_bytes - MAX_32, offset - MAX_32) < 0:
        return end
    version = VERSION_ZIP64
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 3 << 8 | version, version, 0, 0, count, count, size_bytes, offset
    )
    return record + struct.pack("<4sIQI", b"PK\x06\x07", 0, offset + size_bytes, 1) + end


def _dos_time(moment: datetime) -> tuple[int, int]:
    """Return time and date as MS-DOS counts them, in units of two seconds."""
    return (
        moment.hour << 11 | moment.minute << 5 | moment.second // 2,
        (moment.year - 1980) << 9 | moment.month << 5 | moment.day,
    )
