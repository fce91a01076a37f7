"""Reads the top-level structure of an upload, and corrects errors that the demuxer cannot handle.

Other bytes before, between or after the boxes are no reason to refuse a file; `media.container.completeness` judges its
samples. A length that leads past the index, or past the next fragment, is corrected by a patch.
"""

import struct
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from media.container import ebml, edits
from media.container.boxes import BoxReader, IsoBox, hiding
from media.container.patched import Patch
from media.errors import Refused
from media.process import source_file
from media.process.source_file import open_source

# A search checks them, so that it does not find "moov" in coded sound.
MOOV_FIRST_CHILDREN = frozenset({b"mvhd", b"cmov"})
MOOF_FIRST_CHILDREN = frozenset({b"mfhd"})
# Boxes that are always nested: one at the top level means that the length before it is wrong.
NESTED_BOXES = frozenset(
    {b"mvhd", b"trak", b"mvex", b"mfhd", b"traf", b"tkhd", b"edts", b"mdia", b"tfhd", b"tfdt", b"trun"}
)
# Boxes that libavformat reads at the top level and fails at if they are malformed. They are not needed.
OPTIONAL_BOXES = frozenset({b"meta", b"uuid", b"udta"})
FRAGMENT_BOXES = frozenset({b"moof", b"sidx"})
REQUIRED_BOXES = frozenset({b"moov", b"moof", b"mdat"})
ENTRY = struct.Struct(">III")  # of a segment index
MAX_CORRECTED_LENGTHS = 1000
MAX_BEFORE_SEGMENT = 16  # elements


@dataclass(frozen=True, slots=True)
class Structure:
    """The top-level structure of a file."""

    patches: tuple[Patch, ...] = ()  # needed by the demuxer to find all samples
    is_fragmented: bool = False
    has_edits: bool = False  # a track has an edit list, which may hide samples
    has_declared_length: bool = True  # a video of fragments or clusters may lack a duration
    declared_end: int = 0  # end of the last part by its length field; beyond the file's end if it was cut off
    declared_s: float | None = None  # duration in the header of a video of fragments or clusters


def of(path: Path, container: str) -> Structure:
    """Read the top-level structure of an upload.

    Args:
        path: the upload.
        container: "mp4" or "matroska", from `media.container.signature`.

    Raises:
        Refused: truncated: there is no index; damaged: the structure is invalid, or has too many parts.
    """
    return _of(path, container, source_file.version(path))


@lru_cache(maxsize=8)  # an upload is opened ten times in one stage
def _of(path: Path, container: str, version: tuple[int, int, int]) -> Structure:
    size = version[0]
    with open_source(path) as file:
        if container == "matroska":
            return _of_matroska(file, size)
        return _TopLevelBoxes(BoxReader(file, size)).structure()


class _TopLevelBoxes:
    """Walks the top-level boxes of an ISO-BMFF file and collects patches."""

    def __init__(self, reader: BoxReader) -> None:
        self._reader = reader
        self._starts = array("q")  # offsets of the boxes so far; a list of boxes would take too much memory
        self._patches: dict[int, Patch] = {}
        self._index: IsoBox | None = None  # the moov box
        self._empty_index: IsoBox | None = None  # a moov box without samples; the real one may follow
        self._is_fragmented = False
        self._declared_end = 0
        self._has_edits = False
        self._declared_s = 0.0

    def structure(self) -> Structure:
        """Walk the file and return its structure."""
        if self._reader.at(0) is None:
            raise Refused("damaged", "The file's structure breaks off at byte 0.")
        self._walk()
        if self._index is None and self._empty_index is not None:
            self._index = self._empty_index
        elif self._empty_index is not None:
            self._add_patch(hiding(self._empty_index))
        if self._index is None:
            raise Refused("truncated", self._missing_index_detail())
        patches = [*self._patches.values()]
        if not self._is_fragmented:
            for track in self._tracks():
                self._has_edits |= self._reader.child(track, b"edts", b"elst") is not None
                # A track without samples makes libavformat ignore all edit lists (read in its source).
                patches += edits.patches_of(self._reader, track) if self._has_samples(track) else [hiding(track)]
        return Structure(
            tuple(patches),
            is_fragmented=self._is_fragmented,
            has_edits=self._has_edits,
            has_declared_length=not self._is_fragmented or self._declared_s > 0,
            declared_end=self._declared_end,
            declared_s=self._declared_s or None,
        )

    def _walk(self) -> None:
        offset: int | None = 0
        while offset is not None and offset < self._reader.size:
            box = self._reader.at(offset)
            if box is None or (box.kind in NESTED_BOXES and self._needs_more):
                offset = self._search_next()
            elif box.end > self._reader.size or (box.end == self._reader.size and self._index is None):
                offset = self._add_last(box)
            else:
                self._add(box)
                offset = box.end

    def _add_last(self, box: IsoBox) -> int | None:
        """Add the box that reaches the file's end; return the offset of a needed box inside it."""
        self._add(box)
        offset = self._search_next()
        if offset is None and box.kind in REQUIRED_BOXES:
            self._declared_end = max(self._declared_end, box.end)
        return offset

    @property
    def _needs_more(self) -> bool:
        """Return whether the demuxer needs boxes that may follow: an index, or more fragments."""
        return self._index is None or self._is_fragmented

    def _add(self, box: IsoBox) -> None:
        self._starts.append(box.start)
        if self._must_be_hidden(box):
            self._add_patch(hiding(box))
        elif box.kind == b"moov" and self._index is None:
            is_fragmented = self._reader.child(box, b"mvex") is not None
            if is_fragmented or any(map(self._has_samples, self._tracks(box))):
                self._index, self._is_fragmented = box, is_fragmented
                self._declared_s = self._movie_duration_s(box) if is_fragmented else 0.0
            else:
                self._empty_index = self._empty_index or box
        elif box.kind == b"sidx":
            self._add_segment_index(box)

    def _must_be_hidden(self, box: IsoBox) -> bool:
        """Return whether a box is malformed or not needed, and libavformat might fail at it."""
        if box.kind == b"moof" and self._needs_more:
            first = self._reader.at(box.payload)
            return box.end > self._reader.size or first is None or first.kind not in MOOF_FIRST_CHILDREN
        return box.kind in OPTIONAL_BOXES or (not self._needs_more and box.kind in NESTED_BOXES | FRAGMENT_BOXES)

    def _add_segment_index(self, box: IsoBox) -> None:
        """Add the end and duration from a segment index (ISO/IEC 14496-12, 8.16.3)."""
        header = self._reader.bytes_at(box.payload, 32)
        if len(header) < 32:
            return
        is_long = header[0] == 1
        offset = int.from_bytes(header[20:28] if is_long else header[16:20])
        begins = box.payload + (32 if is_long else 24)
        count = int.from_bytes(header[30:32] if is_long else header[22:24])
        entries = self._reader.bytes_at(begins, ENTRY.size * count)
        complete = entries[: len(entries) // ENTRY.size * ENTRY.size]
        length = sum(size & 0x7FFF_FFFF for size, _, _ in ENTRY.iter_unpack(complete))
        ticks = sum(ticks for _, ticks, _ in ENTRY.iter_unpack(complete))
        self._declared_end = max(self._declared_end, box.end + offset + length)
        scale = int.from_bytes(header[8:12])
        self._declared_s = max(self._declared_s, ticks / scale if scale else 0.0)

    def _search_next(self) -> int | None:
        """Search for the index, or the next fragment, and correct the length that leads past it."""
        if not self._needs_more:
            return None
        if len(self._patches) >= MAX_CORRECTED_LENGTHS:
            raise Refused("damaged", f"More than {MAX_CORRECTED_LENGTHS} lengths in the file are wrong.")
        if self._index is None:
            after = self._empty_index.payload if self._empty_index else 8
            found = self._reader.find(b"moov", MOOV_FIRST_CHILDREN, after)
        else:
            found = self._reader.find(b"moof", MOOF_FIRST_CHILDREN, after=self._starts[-1] + 8)
        if found is None or found in self._starts[-1:]:
            return None
        before = bisect_left(self._starts, found) - 1
        del self._starts[before + 1 :]
        self._correct_length(self._starts[before], found)
        return found

    def _correct_length(self, start: int, end: int) -> None:
        box = self._reader.at(start)
        assert box is not None
        if box.payload - box.start == 16:
            self._add_patch(Patch(start + 8, (end - start).to_bytes(8)))
        elif end - start < 1 << 32:
            self._add_patch(Patch(start, (end - start).to_bytes(4)))

    def _add_patch(self, patch: Patch) -> None:
        self._patches[patch.offset] = patch

    def _tracks(self, index: IsoBox | None = None) -> list[IsoBox]:
        index = index or self._index
        assert index is not None
        return [box for box in self._reader.children(index) if box.kind == b"trak"]

    def _has_samples(self, track: IsoBox) -> bool:
        box = self._reader.child(track, b"mdia", b"minf", b"stbl", b"stts")
        return box is None or int.from_bytes(self._reader.bytes_at(box.payload + 4, 4)) > 0

    def _movie_duration_s(self, index: IsoBox) -> float:
        """Return the duration in a fragmented movie's headers, 0 for none (ISO/IEC 14496-12, 8.2.2 and 8.8.2)."""
        header = self._reader.child(index, b"mvhd")
        data = self._reader.bytes_at(header.payload, 32) if header else b""
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

    def _missing_index_detail(self) -> str:
        kinds = {box.kind for start in self._starts[:64] if (box := self._reader.at(start)) is not None}
        if b"moof" in kinds:
            return "The file is a piece of a stream without its beginning. Upload the whole video."
        return (
            "The file has no table of contents, and without it no program can play the video. The recording was not "
            "finished, or the end of it is missing. Upload it again, or repair it first."
        )


def _of_matroska(file: BinaryIO, size: int) -> Structure:
    segment = _segment(file)
    known_end = segment.end
    end, declared_s, overruns = _clusters(file, segment, size)
    patches: tuple[Patch, ...] = ()
    if known_end is not None and (known_end > size or overruns):
        width = segment.payload - segment.start - 4
        patches = (Patch(segment.start + 4, ebml.unknown_length(width)),)
    return Structure(
        patches,
        has_declared_length=known_end is not None or declared_s is not None,
        declared_end=max(end, known_end or 0),
        declared_s=declared_s,
    )


def _segment(file: BinaryIO) -> ebml.Element:
    element = ebml.element_at(file, 0)
    if element is None:
        raise Refused("damaged", "The header of the file cannot be read. Upload it again.")
    for _ in range(MAX_BEFORE_SEGMENT):
        if element is None or element.end is None or element.id == ebml.SEGMENT:
            break
        element = ebml.element_at(file, element.end)
    if element is None or element.id != ebml.SEGMENT:
        raise Refused("damaged", "The file begins like Matroska or WebM, but has no Segment. Upload it again.")
    return element


def _clusters(file: BinaryIO, segment: ebml.Element, size: int) -> tuple[int, float | None, bool]:
    """Walk a Segment's elements.

    Returns:
        The end of the last one by its length field, the Segment's declared duration, and whether elements follow
        beyond the Segment's own end.
    """
    offset, declared_s, overruns = segment.payload, None, False
    for _ in range(ebml.MAX_ELEMENTS):
        element = ebml.element_at(file, offset) if offset < size else None
        if element is None or element.id not in ebml.LEVEL_1 | ebml.GLOBAL:
            break
        if element.id == ebml.INFO:
            declared_s = ebml.duration_s(file, element)
        if element.end is None:
            break  # a live recording: the cluster's length is unknown
        offset = element.end
        overruns |= segment.end is not None and offset > segment.end
    return offset, declared_s, overruns
