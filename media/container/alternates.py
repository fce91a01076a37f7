"""Reads the alternate groups of the tracks of an MP4 or QuickTime file; libav does not expose them."""

import struct
from collections.abc import Iterator
from pathlib import Path

from media.container.boxes import BoxReader, IsoBox
from media.errors import Refused
from media.process import source_file
from media.process.source_file import open_source


def groups(path: Path) -> dict[int, int]:
    """Return each track's alternate group by track ID; 0 is no group (ISO/IEC 14496-12, 8.3.2).

    For a malformed file it contains the tracks that could be read.
    """
    found: dict[int, int] = {}
    with open_source(path) as file:
        reader = BoxReader(file, source_file.size_bytes(path))
        try:
            for track in _tracks(reader):
                header = reader.child(track, b"tkhd")
                if header is not None:
                    found |= _group(reader.bytes_at(header.payload, min(header.end - header.payload, 48)))
        except Refused:
            return found  # too many boxes; `media.container.structure` refuses such files
    return found


def _tracks(reader: BoxReader) -> Iterator[IsoBox]:
    box = reader.at(0)
    while box is not None:
        if box.kind == b"moov":
            yield from (child for child in reader.children(box) if child.kind == b"trak")
        box = reader.at(box.end) if box.end < reader.size else None


def _group(header: bytes) -> dict[int, int]:
    wide = 12 if header[:1] == b"\1" else 0  # version 1: times and duration of 64 bits
    if len(header) < 36 + wide:
        return {}
    (track,) = struct.unpack_from(">I", header, 12 + (8 if wide else 0))
    (group,) = struct.unpack_from(">H", header, 34 + wide)
    return {track: group}
