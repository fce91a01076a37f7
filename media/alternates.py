"""Reads which tracks of an MP4 or QuickTime file are alternates of each other; libav does not tell."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MOST_BOXES = 4096  # looked at in one file


def groups(path: Path) -> dict[int, int]:
    """Return each track's alternate group by its track ID; 0 is no group (ISO/IEC 14496-12, 8.3.2).

    A file that is not made of boxes, or whose boxes do not fit into each other, gives what could be read.
    """
    found: dict[int, int] = {}
    with path.open("rb") as file:
        end = file.seek(0, 2)
        for _, start, stop in _inside(file, 0, end, (b"moov", b"trak", b"tkhd")):
            file.seek(start)
            head = file.read(min(stop - start, 48))
            wide = 12 if head[:1] == b"\1" else 0  # version 1: times and duration of 64 bits
            if len(head) >= 36 + wide:
                (track,) = struct.unpack_from(">I", head, 12 + (8 if wide else 0))
                (found[track],) = struct.unpack_from(">H", head, 34 + wide)
    return found


def _inside(file: BinaryIO, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[tuple[bytes, int, int]]:
    """Give kind, first and last place of the content of every box at the end of a path of kinds."""
    for kind, first, last in _boxes(file, start, end):
        if kind != path[0]:
            continue
        if len(path) == 1:
            yield kind, first, last
        else:
            yield from _inside(file, first, last, path[1:])


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4]), head[4:8]
        first = start + 8
        if size == 1:
            size, first = int.from_bytes(head[8:16]), start + 16
        elif size == 0:
            size = end - start
        if size < first - start:
            return
        yield kind, first, min(start + size, end)
        start += size
