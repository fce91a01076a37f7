"""Corrects edit lists of ISO-BMFF files (ISO/IEC 14496-12, 8.6.6) that libavformat misreads.

libavformat 62 ignores an edit of duration 0 (the standard and players: until the end), plays the beginning of the media
for an empty edit in mid-video, plays on for a dwell, and presents nothing if a list has no presentable edit (read in
its source and measured 2026-11-28).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from media.container.boxes import BoxReader, IsoBox, hiding
from media.container.patched import Patch

MAX_EDITS = 10_000
EMPTY = -1  # media time of an empty edit


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry of an edit list."""

    duration: int  # in the movie's time scale
    media_time: int  # in the track's time scale; -1 for an empty edit
    rate: int  # the integer part; 0 for a dwell


@dataclass(frozen=True, slots=True)
class _EntryLayout:
    """The binary layout of entries in one version of the box."""

    fields: struct.Struct
    until_end: int  # a duration that reaches the end of any media
    past_media: int  # a media time after the end of any media


ENTRY_LAYOUTS = {
    0: _EntryLayout(struct.Struct(">Iihh"), 0xFFFF_FFFF, 0x7FFF_FFFF),
    # Longer ones overflow when libavformat adds them up.
    1: _EntryLayout(struct.Struct(">qqhh"), 1 << 47, 1 << 47),
}


def patches_of(reader: BoxReader, track: IsoBox) -> list[Patch]:
    """Return the patches for a track's edit list; usually none."""
    box = reader.child(track, b"edts", b"elst")
    if box is None:
        return []
    header = reader.bytes_at(box.payload, 8)
    layout = ENTRY_LAYOUTS.get(header[0] if header else 0)
    if layout is None or len(header) < 8:
        return []
    size = layout.fields.size
    room = min((box.end - box.payload - 8) // size, MAX_EDITS)
    count = min(int.from_bytes(header[4:]), room)
    data = reader.bytes_at(box.payload + 8, count * size)
    edits = [Edit(*fields[:3]) for fields in layout.fields.iter_unpack(data[: len(data) // size * size])]
    media_end = _media_end(reader, track)
    result = corrected(edits, layout, media_end)
    if not _presents_anything(result, media_end):
        return [hiding(box)] if edits else []
    if result == edits:
        return []
    entries = (layout.fields.pack(edit.duration, edit.media_time, edit.rate, 0) for edit in result)
    return [Patch(box.payload + 8, b"".join(entries))]


def corrected(edits: Sequence[Edit], layout: _EntryLayout, media_end: int) -> list[Edit]:
    """Replace the edits that libavformat misreads; the number of entries stays.

    Args:
        edits: the track's list.
        layout: of the box's version.
        media_end: end of the track's media, in its time scale.
    """
    presented = [number for number, edit in enumerate(edits) if edit.media_time != EMPTY and edit.rate != 0]
    first, last = (presented[0], presented[-1]) if presented else (len(edits), -1)
    result = []
    for number, edit in enumerate(edits):
        if edit.media_time == EMPTY or edit.rate == 0:
            is_lead = number < first
            media_time = EMPTY if is_lead or media_end >= layout.past_media else layout.past_media
            result.append(replace(edit, media_time=media_time, rate=1))
        elif number == last and edit.duration <= 0:
            result.append(replace(edit, duration=layout.until_end))
        else:
            result.append(edit)
    return result


def _presents_anything(edits: Sequence[Edit], media_end: int) -> bool:
    is_valid = all(edit.media_time >= EMPTY for edit in edits)
    return is_valid and any(0 <= edit.media_time < media_end and edit.duration > 0 for edit in edits)


def _media_end(reader: BoxReader, track: IsoBox) -> int:
    """Return a track's duration in its own time scale; 2**62 if its header has none."""
    box = reader.child(track, b"mdia", b"mdhd")
    header = reader.bytes_at(box.payload, 32) if box else b""
    if len(header) < 20:
        return 1 << 62
    duration = int.from_bytes(header[24:32]) if header[0] == 1 else int.from_bytes(header[16:20])
    return duration or 1 << 62
