"""Identifies the container of a file by its first bytes.

No demuxer opens a file before: a demuxer that guesses formats would open a playlist named .mp4 and read the files it
lists. `api.uploads.sniff` makes the same check when the first bytes of an upload arrive; a test keeps the two equal. No
video library.
"""

from pathlib import Path

from media.container.boxes import is_type
from media.errors import Refused
from media.process.source_file import open_source

HEAD_BYTES = 64
EBML = bytes.fromhex("1A45DFA3")
# Boxes with which a QuickTime or MPEG-4 file may begin, whatever their length (ISO/IEC 14496-12; Apple's QuickTime File
# Format, "Atoms"). Any other type is accepted with a length below 16 MB: a text has no zero byte there.
FIRST_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"PICT", b"styp", b"moof", b"sidx", b"uuid"}
)
PICTURE_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"heif", b"mif1", b"msf1", b"avif", b"avis", b"crx "})
SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P "})
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]", b"#!")


def check(path: Path) -> str:
    """Return "mp4" or "matroska" by a file's first bytes.

    Raises:
        Refused: empty_file, not_a_video.
    """
    with open_source(path) as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise Refused("empty_file", "The file is empty (0 bytes).")
    container = container_of(head)
    if container is None:
        raise Refused("not_a_video", _what_it_is(head))
    return container


def container_of(head: bytes) -> str | None:
    """Return "mp4", "matroska" or None, given the first `HEAD_BYTES` bytes of a file."""
    if head.startswith(EBML):
        return "matroska"
    length, kind, brand = head[:4], head[4:8], head[8:12]
    if kind == b"ftyp":
        return None if brand in PICTURE_BRANDS | SOUND_BRANDS else "mp4"
    return "mp4" if kind in FIRST_BOXES or (length[:1] == b"\0" and is_type(kind)) else None


def _what_it_is(head: bytes) -> str:
    if head.startswith(PICTURES) or (head[4:8] == b"ftyp" and head[8:12] in PICTURE_BRANDS):
        return "The file is a still picture, not a video. If it is a motion photo, save its video and upload that."
    if head[4:8] == b"ftyp":
        return "The file is a sound file, not a video. Upload a video."
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(PLAYLISTS):
        return "The file is a playlist or a text that points to other files, not a video."
    return "The file is neither MP4/MOV nor Matroska/WebM. Upload a video in one of these formats."
