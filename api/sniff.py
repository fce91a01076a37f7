"""What a file is by its first bytes: enough to turn away at once what is not a video, and nothing more.

Whether it can be played is found out later, in a sandbox.
"""

from __future__ import annotations

HEAD_BYTES = 64

# ISO-BMFF major brands that are no video: audio (M4A, M4B, M4P) and still pictures (HEIF, AVIF).
_OTHER_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
# QuickTime files older than the brand box begin with one of these.
_QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_EBML = b"\x1a\x45\xdf\xa3"


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
    if head.startswith(_EBML) or kind in _QUICKTIME_BOXES:
        return
    if kind == b"ftyp" and brand not in _OTHER_BRANDS:
        return
    if kind == b"ftyp":
        raise NotAVideo("this is a sound or picture file, not a video")
    if head.lstrip(b"\xef\xbb\xbf").lstrip().startswith((b"#EXTM3U", b"ffconcat", b"<MPD", b"<?xml")):
        raise NotAVideo("this is a playlist, not a video; upload the video itself")
    raise NotAVideo("this is not a video file: MP4, MOV, MKV and WebM can be uploaded")
