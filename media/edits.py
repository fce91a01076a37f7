"""Edit lists of ISO-BMFF files (ISO/IEC 14496-12, 8.6.6), put into the form in which libavformat reads them rightly.

libavformat 62 takes an edit of duration 0 for nothing (players and the standard: until the end), a rest in mid-film for
the beginning of the media, a dwell for moving pictures, and a list that shows nothing for an empty film. Read in its
source and measured 2026-11-28.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from media.boxes import Box, BoxReader
from media.patched import Patch

MAX_EDITS = 10_000
EMPTY = -1  # media time of an edit that shows nothing
FREE = b"free"


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry: for how long which time of the media is shown."""

    duration: int  # in the movie's time scale
    media_time: int  # in the track's; -1 shows nothing
    rate: int  # the integer part; 0 dwells on one picture


@dataclass(frozen=True, slots=True)
class _Form:
    """How a version of the box writes its entries."""

    fields: struct.Struct
    until_end: int  # the longest duration: it ends with the media
    beyond: int  # a media time at which no media is


FORMS = {
    0: _Form(struct.Struct(">Iihh"), 0xFFFF_FFFF, 0x7FFF_FFFF),
    # Longer ones would overflow once they are added up.
    1: _Form(struct.Struct(">qqhh"), 1 << 47, 1 << 47),
}


def patches_of(reader: BoxReader, track: Box) -> list[Patch]:
    """Return the patches that a track's edit list needs: usually none."""
    box = reader.child(track, b"edts", b"elst")
    if box is None:
        return []
    head = reader.bytes_at(box.payload, 8)
    form = FORMS.get(head[0] if head else 0)
    if form is None or len(head) < 8:
        return []
    room = min((box.end - box.payload - 8) // form.fields.size, MAX_EDITS)
    count = min(int.from_bytes(head[4:]), room)
    data = reader.bytes_at(box.payload + 8, count * form.fields.size)
    edits = [
        Edit(*fields[:3])
        for fields in form.fields.iter_unpack(data[: len(data) // form.fields.size * form.fields.size])
    ]
    media_end = _media_end(reader, track)
    wanted = in_readable_form(edits, form, media_end)
    if not _shows_anything(wanted, media_end):
        return [Patch(box.start + 4, FREE)] if edits else []
    if wanted == edits:
        return []
    entries = (form.fields.pack(edit.duration, edit.media_time, edit.rate, 0) for edit in wanted)
    return [Patch(box.payload + 8, b"".join(entries))]


def in_readable_form(edits: Sequence[Edit], form: _Form, media_end: int) -> list[Edit]:
    """Rewrite what libavformat misreads; as many entries as before.

    Args:
        edits: the track's list.
        form: the box's version.
        media_end: where the track's media ends, in its time scale.
    """
    shown = [number for number, edit in enumerate(edits) if edit.media_time != EMPTY and edit.rate != 0]
    first, last = (shown[0], shown[-1]) if shown else (len(edits), -1)
    result = []
    for number, edit in enumerate(edits):
        if edit.media_time == EMPTY or edit.rate == 0:
            is_lead = number < first
            rest = EMPTY if is_lead or media_end >= form.beyond else form.beyond
            result.append(replace(edit, media_time=rest, rate=1))
        elif number == last and edit.duration <= 0:
            result.append(replace(edit, duration=form.until_end))
        else:
            result.append(edit)
    return list(edits) if result == list(edits) else result


def _shows_anything(edits: Sequence[Edit], media_end: int) -> bool:
    is_valid = all(edit.media_time >= EMPTY for edit in edits)
    return is_valid and any(0 <= edit.media_time < media_end and edit.duration > 0 for edit in edits)


def _media_end(reader: BoxReader, track: Box) -> int:
    """Return a track's duration in its own time scale; endless when its header does not tell."""
    box = reader.child(track, b"mdia", b"mdhd")
    head = reader.bytes_at(box.payload, 32) if box else b""
    if len(head) < 20:
        return 1 << 62
    duration = int.from_bytes(head[24:32]) if head[0] == 1 else int.from_bytes(head[16:20])
    return duration or 1 << 62
