"""Refuses by its first bytes an upload that is not a video.

Whether it can be played is checked later, in a sandbox. `media.container.signature` accepts the same files; `api` may
not import it, so a test keeps the two equal.
"""

from __future__ import annotations

HEAD_BYTES = 64

# ISO-BMFF major brands that are no video: audio (M4A, M4B, M4P) and still pictures (HEIF, AVIF, Canon's raw).
_OTHER_BRANDS = frozenset(
    {
        b"M4A ",
        b"M4B ",
        b"M4P ",
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"heif",
        b"mif1",
        b"msf1",
        b"avif",
        b"avis",
        b"crx ",
    }
)
# Boxes with which an MP4 or QuickTime file may begin besides `ftyp`, whatever their length.
_FIRST_BOXES = frozenset(
    {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"PICT", b"styp", b"moof", b"sidx", b"uuid"}
)
_EBML = b"\x1a\x45\xdf\xa3"
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8")
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"<?xml")


class NotAVideo(ValueError):
    """The first bytes are not those of an MP4, QuickTime, Matroska or WebM file."""


def check(head: bytes) -> None:
    """Refuse what cannot be a video.

    Args:
        head: the first `HEAD_BYTES` bytes of the file, or all of a shorter one.

    Raises:
        NotAVideo: with a sentence that says what it looks like instead.
    """
    kind, brand = head[4:8], head[8:12]
    if kind == b"ftyp" and brand in _OTHER_BRANDS:
        raise NotAVideo("this is a sound or picture file, not a video; MP4, MOV, MKV and WebM can be uploaded")
    if head.startswith(_EBML) or kind == b"ftyp" or kind in _FIRST_BOXES or _may_be_a_box(head):
        return
    if head.startswith(_PICTURES):
        raise NotAVideo("this is a picture, not a video; MP4, MOV, MKV and WebM can be uploaded")
    if head.lstrip(b"\xef\xbb\xbf").lstrip().startswith(_PLAYLISTS):
        raise NotAVideo("this is a playlist, not a video; upload the video itself")
    raise NotAVideo("this is not a video file; MP4, MOV, MKV and WebM can be uploaded")


def _may_be_a_box(head: bytes) -> bool:
    """Return whether the file begins with a length below 16 MB and a printable type; a text has no zero byte."""
    kind = head[4:8]
    return len(kind) == 4 and head[0] == 0 and all(0x20 <= byte <= 0x7E or byte == 0xA9 for byte in kind)
