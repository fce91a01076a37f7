"""Boxes of ISO-BMFF and QuickTime files: where each begins and ends, read without trusting any of it.

A box is a length, a type of four characters and its contents (ISO/IEC 14496-12, 4.2; Apple's QuickTime File Format,
"Atoms"). No video library.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from media.errors import Refused

MAX_BOXES = 200_000  # fragments of half a second over three hours, many times over
SCAN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its type and three places in the file."""

    kind: bytes
    start: int  # of its length field
    payload: int  # of its contents: 8 bytes after the start, 16 with a long length field
    end: int  # as its length field says; may lie beyond the file


class BoxReader:
    """Reads the headers of boxes and bounds how many are read in all."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self._read = 0

    def at(self, start: int, limit: int | None = None) -> Box | None:
        """Return the box that begins at a place, or None when no length and type stand there.

        Args:
            start: place in the file.
            limit: where the box around it ends; None for the file.

        Raises:
            Refused: damaged: more boxes than any video has.
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
        return Box(header[4:8], start, payload, end) if end >= payload else None

    def children(self, box: Box) -> Iterator[Box]:
        """Give the boxes inside a box, until one does not fit."""
        start, limit = box.payload, min(box.end, self.size)
        while start + 8 <= limit:
            child = self.at(start, limit)
            if child is None or child.end > limit:
                return
            yield child
            start = child.end

    def child(self, box: Box | None, *path: bytes) -> Box | None:
        """Return the first box at a path of types below a box."""
        for kind in path:
            if box is None:
                return None
            box = next((child for child in self.children(box) if child.kind == kind), None)
        return box

    def bytes_at(self, start: int, length: int) -> bytes:
        """Read bytes of the file; fewer at its end."""
        self._file.seek(start)
        return self._file.read(max(length, 0))

    def find(self, kind: bytes, first_child: frozenset[bytes], after: int) -> int | None:
        """Search for a box by its type and its first child's; return where it begins.

        Args:
            kind: type of the box.
            first_child: the types with which its contents may begin.
            after: where to begin.
        """
        place = after
        while place < self.size:
            piece = self.bytes_at(place, SCAN_BYTES)
            at = piece.find(kind)
            while at >= 0:
                start = place + at - 4
                if start >= after and self._begins_with(start, first_child):
                    return start
                at = piece.find(kind, at + 1)
            if len(piece) < SCAN_BYTES:
                return None
            place += SCAN_BYTES - 3
        return None

    def _begins_with(self, start: int, first_child: frozenset[bytes]) -> bool:
        box = self.at(start)
        inner = None if box is None else self.at(box.payload)
        return inner is not None and inner.kind in first_child


def is_type(kind: bytes) -> bool:
    """Say whether four bytes can be a box's type: printable ASCII, or Apple's copyright sign."""
    return len(kind) == 4 and all(0x20 <= byte <= 0x7E or byte == 0xA9 for byte in kind)
