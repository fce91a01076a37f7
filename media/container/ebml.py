"""Reads the elements of Matroska and WebM files (RFC 8794, EBML; RFC 9559, Matroska). No video library."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

EBML, SEGMENT = 0x1A45DFA3, 0x18538067
INFO, CLUSTER, DURATION, TIMESTAMP_SCALE = 0x1549A966, 0x1F43B675, 0x4489, 0x2AD7B1
# Children of a Segment (RFC 9559, section 5.1). Void and CRC-32 may be anywhere (RFC 8794, section 11.3).
LEVEL_1 = frozenset({0x114D9B74, INFO, CLUSTER, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367})
GLOBAL = frozenset({0xEC, 0xBF})
DEFAULT_SCALE_NS = 1_000_000
MAX_ELEMENTS = 200_000  # of a Segment; three hours in clusters of a second have 10,800


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its identifier and three offsets in the file."""

    id: int
    start: int  # of its identifier
    payload: int
    end: int | None  # by its length field; may lie beyond the file; None for an unknown length


def element_at(file: BinaryIO, start: int) -> Element | None:
    """Return the element at an offset, or None if there is no valid header."""
    file.seek(start)
    head = file.read(12)
    if len(head) < 2 or not head[0] >> 4:
        return None  # identifiers have up to four bytes
    width = 9 - head[0].bit_length()
    if len(head) <= width or not head[width]:
        return None
    extra = 8 - head[width].bit_length()
    field = head[width : width + extra + 1]
    if len(field) <= extra:
        return None
    length = int.from_bytes(field) & ((1 << 7 * (extra + 1)) - 1)
    payload = start + width + extra + 1
    is_unknown = length == (1 << 7 * (extra + 1)) - 1
    return Element(int.from_bytes(head[:width]), start, payload, None if is_unknown else payload + length)


def unknown_length(width: int) -> bytes:
    """Return the length field for an unknown length, in a number of bytes."""
    return bytes([(1 << (9 - width)) - 1]) + b"\xff" * (width - 1)


def duration_s(file: BinaryIO, info: Element) -> float | None:
    """Return the Duration in a Segment's Info, in seconds; None if there is none."""
    scale, ticks = DEFAULT_SCALE_NS, None
    offset, end = info.payload, info.end or info.payload
    while offset < end and (element := element_at(file, offset)) is not None and element.end is not None:
        file.seek(element.payload)
        value = file.read(min(element.end - element.payload, 8))
        if element.id == TIMESTAMP_SCALE:
            scale = int.from_bytes(value)
        elif element.id == DURATION and len(value) in {4, 8}:
            (ticks,) = struct.unpack(">f" if len(value) == 4 else ">d", value)
        offset = element.end
    return None if ticks is None else ticks * scale / 1e9
