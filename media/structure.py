"""The outer structure of an upload: what a demuxer needs to find in it, and what has to be read differently for that.

A file is judged by whether its samples are there, so nothing here refuses a file for bytes before, between or after
the boxes. A length that leads past the index, or past the next fragment, is put right by a patch.
"""

import struct
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from media import ebml, edits
from media.boxes import Box, BoxReader
from media.errors import Refused
from media.patched import Patch

INDEX_BEGINS = frozenset(
    {b"mvhd", b"cmov"}
)  # with one of these begins a movie box; a search must not take sound for it
FRAGMENT_BEGINS = frozenset({b"mfhd"})
# Boxes that only ever stand inside others: at the top level they mean that a length led into the middle of something.
INNER = frozenset({b"mvhd", b"trak", b"mvex", b"mfhd", b"traf", b"tkhd", b"edts", b"mdia", b"tfhd", b"tfdt", b"trun"})
# Boxes that libavformat reads at the top level, and fails at if they are broken, though the film needs none of them.
ASIDE = frozenset({b"meta", b"uuid", b"udta"})
FRAGMENTS = frozenset({b"moof", b"sidx"})
NEEDED = frozenset({b"moov", b"moof", b"mdat"})
ENTRY = struct.Struct(">III")  # of a segment index
MAX_LENGTHS_PUT_RIGHT = 1000
MAX_BEFORE_SEGMENT = 16  # elements


@dataclass(frozen=True, slots=True)
class Structure:
    """What the outer structure of a file tells."""

    patches: tuple[Patch, ...] = ()  # without them a demuxer would miss something
    is_fragmented: bool = False
    has_edits: bool = False  # an edit list shows some of the samples, and perhaps not all
    tells_length: bool = True  # of the whole film; one of fragments or clusters may leave it open
    claimed_end: int = 0  # where the file's parts say that they end; beyond the file when it was cut off
    promised_s: float | None = None  # how long a film of fragments or clusters says it lasts


def of(path: Path, container: str) -> Structure:
    """Read the outer structure of an upload.

    Args:
        path: the upload.
        container: "mp4" or "matroska", as its first bytes tell.

    Raises:
        Refused: truncated: there is no index; damaged: the file does not go on as it begins, or has too many parts.
    """
    status = path.stat()
    return _of(path, container, (status.st_size, status.st_mtime_ns, status.st_ino))


@lru_cache(maxsize=8)  # an upload is opened ten times in one stage
def _of(path: Path, container: str, version: tuple[int, int, int]) -> Structure:
    size = version[0]
    with path.open("rb") as file:
        if container == "matroska":
            return _of_matroska(file, size)
        return _Outline(BoxReader(file, size)).structure()


class _Outline:
    """The boxes of a file's top level, as far as they are boxes."""

    def __init__(self, reader: BoxReader) -> None:
        self._reader = reader
        self._starts = array("q")  # of the boxes so far; a list of boxes would take too much memory
        self._patches: dict[int, Patch] = {}
        self._index: Box | None = None
        self._empty_index: Box | None = None  # one without a sample: the real one may come after it
        self._is_fragmented = False
        self._claimed_end = 0
        self._has_edits = False
        self._promised_s = 0.0

    def structure(self) -> Structure:
        """Return what was found."""
        if self._reader.at(0) is None:
            raise Refused("damaged", "The file's structure breaks off at byte 0.")
        self._walk()
        if self._index is None and self._empty_index is not None:
            self._index = self._empty_index
        elif self._empty_index is not None:
            self._patch(self._empty_index.start + 4, edits.FREE)
        if self._index is None:
            raise Refused("truncated", self._why_no_index())
        patches = [*self._patches.values()]
        if not self._is_fragmented:
            for track in self._tracks():
                self._has_edits |= self._reader.child(track, b"edts", b"elst") is not None
                patches += edits.patches_of(self._reader, track) if self._has_samples(track) else [_hidden(track)]
        return Structure(
            tuple(patches),
            is_fragmented=self._is_fragmented,
            has_edits=self._has_edits,
            tells_length=not self._is_fragmented or self._promised_s > 0,
            claimed_end=self._claimed_end,
            promised_s=self._promised_s or None,
        )

    def _walk(self) -> None:
        place: int | None = 0
        while place is not None and place < self._reader.size:
            box = self._reader.at(place)
            if box is None or (box.kind in INNER and self._is_wanting):
                place = self._next_found()
            elif box.end > self._reader.size or (box.end == self._reader.size and self._index is None):
                place = self._after_the_last(box)
            else:
                self._take(box)
                place = box.end

    def _after_the_last(self, box: Box) -> int | None:
        """Take the box that reaches the file's end, and look whether it hides what is still wanted."""
        self._take(box)
        place = self._next_found()
        if place is None and box.kind in NEEDED:
            self._claimed_end = max(self._claimed_end, box.end)
        return place

    @property
    def _is_wanting(self) -> bool:
        """Say whether a demuxer needs boxes that may still come."""
        return self._index is None or self._is_fragmented

    def _take(self, box: Box) -> None:
        self._starts.append(box.start)
        if self._is_to_be_hidden(box):
            self._patch(box.start + 4, edits.FREE)
        elif box.kind == b"moov" and self._index is None:
            is_fragmented = self._reader.child(box, b"mvex") is not None
            if is_fragmented or any(map(self._has_samples, self._tracks(box))):
                self._index, self._is_fragmented = box, is_fragmented
                self._promised_s = self._movie_duration_s(box) if is_fragmented else 0.0
            else:
                self._empty_index = self._empty_index or box
        elif box.kind == b"sidx":
            self._take_segment_index(box)

    def _is_to_be_hidden(self, box: Box) -> bool:
        """Say whether libavformat would read, and might fail at, a box that is broken or not needed."""
        if box.kind == b"moof" and self._is_wanting:
            first = self._reader.at(box.payload)
            return box.end > self._reader.size or first is None or first.kind not in FRAGMENT_BEGINS
        return box.kind in ASIDE or (not self._is_wanting and box.kind in INNER | FRAGMENTS)

    def _take_segment_index(self, box: Box) -> None:
        """Add what a segment index promises (ISO/IEC 14496-12, 8.16.3)."""
        head = self._reader.bytes_at(box.payload, 32)
        if len(head) < 32:
            return
        is_long = head[0] == 1
        offset = int.from_bytes(head[20:28] if is_long else head[16:20])
        begins = box.payload + (32 if is_long else 24)
        entries = self._reader.bytes_at(begins, ENTRY.size * int.from_bytes(head[30:32] if is_long else head[22:24]))
        whole = entries[: len(entries) // ENTRY.size * ENTRY.size]
        length = sum(size & 0x7FFF_FFFF for size, _, _ in ENTRY.iter_unpack(whole))
        ticks = sum(ticks for _, ticks, _ in ENTRY.iter_unpack(whole))
        self._claimed_end = max(self._claimed_end, box.end + offset + length)
        scale = int.from_bytes(head[8:12])
        self._promised_s = max(self._promised_s, ticks / scale if scale else 0.0)

    def _next_found(self) -> int | None:
        """Find where the index, or the next fragment, really begins, and put right the length that missed it."""
        if not self._is_wanting:
            return None
        if len(self._patches) >= MAX_LENGTHS_PUT_RIGHT:
            raise Refused("damaged", f"More than {MAX_LENGTHS_PUT_RIGHT} lengths in the file are wrong.")
        if self._index is None:
            after = self._empty_index.payload if self._empty_index else 8
            found = self._reader.find(b"moov", INDEX_BEGINS, after)
        else:
            found = self._reader.find(b"moof", FRAGMENT_BEGINS, after=self._starts[-1] + 8)
        if found is None or found in self._starts[-1:]:
            return None
        before = bisect_left(self._starts, found) - 1
        del self._starts[before + 1 :]
        self._put_right(self._starts[before], found)
        return found

    def _put_right(self, start: int, end: int) -> None:
        box = self._reader.at(start)
        assert box is not None
        if box.payload - box.start == 16:
            self._patch(start + 8, (end - start).to_bytes(8))
        elif end - start < 1 << 32:
            self._patch(start, (end - start).to_bytes(4))

    def _patch(self, place: int, data: bytes) -> None:
        self._patches[place] = Patch(place, data)

    def _tracks(self, index: Box | None = None) -> list[Box]:
        index = index or self._index
        assert index is not None
        return [box for box in self._reader.children(index) if box.kind == b"trak"]

    def _has_samples(self, track: Box) -> bool:
        box = self._reader.child(track, b"mdia", b"minf", b"stbl", b"stts")
        return box is None or int.from_bytes(self._reader.bytes_at(box.payload + 4, 4)) > 0

    def _movie_duration_s(self, index: Box) -> float:
        """Return the duration that a fragmented movie's header promises, 0 for none (ISO/IEC 14496-12, 8.8.2)."""
        head = self._reader.child(index, b"mvhd")
        data = self._reader.bytes_at(head.payload, 32) if head else b""
        if len(data) < 32:
            return 0.0
        is_long = data[0] == 1
        scale = int.from_bytes(data[20:24] if is_long else data[12:16])
        duration = int.from_bytes(data[24:32] if is_long else data[16:20])
        extends = self._reader.child(index, b"mvex", b"mehd")
        if extends is not None:
            data = self._reader.bytes_at(extends.payload, 12)
            duration = max(duration, int.from_bytes(data[4:12] if data[:1] == b"\1" else data[4:8]))
        is_known = scale and duration not in {0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF}
        return duration / scale if is_known else 0.0

    def _why_no_index(self) -> str:
        kinds = {box.kind for start in self._starts[:64] if (box := self._reader.at(start)) is not None}
        if b"moof" in kinds:
            return "The file is a piece of a stream without its beginning (no moov): upload the whole video."
        return (
            "The file has no table of contents (moov), without which no program can play it: the recording was not "
            "finished, or the end of it is missing. Upload it again, or repair it first."
        )


def _hidden(box: Box) -> Patch:
    """Hide a track without samples: one makes libavformat leave all edit lists aside (read in its source)."""
    return Patch(box.start + 4, edits.FREE)


def _of_matroska(file: BinaryIO, size: int) -> Structure:
    segment = _segment(file)
    known_end = segment.end
    end, promised_s, goes_on = _clusters(file, segment, size)
    patches: tuple[Patch, ...] = ()
    if known_end is not None and (known_end > size or goes_on):
        width = segment.payload - segment.start - 4
        patches = (Patch(segment.start + 4, ebml.unknown_length(width)),)
    return Structure(
        patches,
        tells_length=known_end is not None or promised_s is not None,
        claimed_end=max(end, known_end or 0),
        promised_s=promised_s,
    )


def _segment(file: BinaryIO) -> ebml.Element:
    element = ebml.element_at(file, 0)
    if element is None:
        raise Refused("damaged", "A length in the file's head cannot be read.")
    for _ in range(MAX_BEFORE_SEGMENT):
        if element is None or element.end is None or element.id == ebml.SEGMENT:
            break
        element = ebml.element_at(file, element.end)
    if element is None or element.id != ebml.SEGMENT:
        raise Refused("damaged", "The file begins like Matroska or WebM and does not go on like it.")
    return element


def _clusters(file: BinaryIO, segment: ebml.Element, size: int) -> tuple[int, float | None, bool]:
    """Go through a Segment's elements.

    Returns:
        Where the last of them says it ends, the duration that the Segment promises, and whether elements go on beyond
        the Segment's own end.
    """
    place, promised_s, goes_on = segment.payload, None, False
    for _ in range(200_000):
        element = ebml.element_at(file, place) if place < size else None
        if element is None or element.id not in ebml.LEVEL_1 | ebml.GLOBAL:
            break
        if element.id == ebml.INFO:
            promised_s = ebml.duration_s(file, element)
        if element.end is None:
            break  # a live recording; only its blocks tell where it ends
        place = element.end
        goes_on |= segment.end is not None and place > segment.end
    return place, promised_s, goes_on
