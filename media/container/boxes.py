"""Reads the boxes of ISO-BMFF and QuickTime files, which may be malformed.

A box is a length, a type of four characters and a payload (ISO/IEC 14496-12, 4.2; Apple's QuickTime File Format,
"Atoms"). No video library.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from media.container.patched import Patch
from media.errors import Refused

MAX_BOXES = 200_000  # three hours in fragments of half a second have about 45,000
SCAN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class IsoBox:
    """One box: its type and three offsets in the file."""

    kind: bytes
    start: int  # of its length field
    payload: int  # 8 bytes after the start, 16 with a 64-bit length
    end: int  # by its length field; may lie beyond the file


class BoxReader:
    """Reads box headers; raises an error after `MAX_BOXES` of them."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self._read = 0

    def at(self, start: int, limit: int | None = None) -> IsoBox | None:
        """Return the box at an offset, or None if there is no valid header.

        Args:
            start: offset in the file.
            limit: end of the parent box; None for the end of the file.

        Raises:
            Refused: damaged: more than `MAX_BOXES` boxes were read.
        """
        self._read += 1
        if self._read > MAX_BOXES:
            raise Refused("damaged", f"The file has more than {MAX_BOXES} parts.")
        limit = self.size if limit is None else limit
        header = self.bytes_at(start, min(16, limit - start))
        if len(header) < 8 or not is_type(header[4:8]):
            return None
        length, payload = int.from_bytes(header[:4]), start + 8
        if length == 1 and len(header) == 16:
            length, payload = int.from_bytes(header[8:]), start + 16
        end = limit if length == 0 else start + length
        return IsoBox(header[4:8], start, payload, end) if end >= payload else None

    def children(self, box: IsoBox) -> Iterator[IsoBox]:
        """Yield the child boxes, up to the first that does not fit into its parent."""
        start, limit = box.payload, min(box.end, self.size)
        while start + 8 <= limit:
            child = self.at(start, limit)
            if child is None or child.end > limit:
                return
            yield child
            start = child.end

    def child(self, box: IsoBox | None, *path: bytes) -> IsoBox | None:
        """Return the first descendant at a path of types, or None."""
        for kind in path:
            if box is None:
                return None
            box = next((child for child in self.children(box) if child.kind == kind), None)
        return box

    def bytes_at(self, start: int, length: int) -> bytes:
        """Return bytes of the file; fewer at its end."""
        self._file.seek(start)
        return self._file.read(max(length, 0))

    def find(self, kind: bytes, first_child: frozenset[bytes], after: int) -> int | None:
        """Search the file for a box by its type and its first child's type; return its offset.

        Args:
            kind: type of the box.
            first_child: allowed types of its first child.
            after: offset at which the search begins.
        """
        offset = after
        while offset < self.size:
            chunk = self.bytes_at(offset, SCAN_BYTES)
            at = chunk.find(kind)
            while at >= 0:
                start = offset + at - 4
                if start >= after and self._begins_with(start, first_child):
                    return start
                at = chunk.find(kind, at + 1)
            if len(chunk) < SCAN_BYTES:
                return None
            offset += SCAN_BYTES - 3
        return None

    def _begins_with(self, start: int, first_child: frozenset[bytes]) -> bool:
        box = self.at(start)
        child = None if box is None else self.at(box.payload)
        return child is not None and child.kind in first_child


def hiding(box: IsoBox) -> Patch:
    """Return the patch that makes a demuxer skip a box: its type becomes `free`."""
    return Patch(box.start + 4, b"free")


def is_type(kind: bytes) -> bool:
    """Return whether bytes can be a box type: printable ASCII, or Apple's copyright sign."""
    return len(kind) == 4 and all(0x20 <= byte <= 0x7E or byte == 0xA9 for byte in kind)
