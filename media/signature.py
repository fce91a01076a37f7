"""Tells by a file's own bytes whether it is a container that we take, and whether all of it is there.

This comes before any demuxer sees the file: a demuxer that guesses formats would open a playlist named .mp4 and read
the files it lists. Only headers are read here; no video library.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from media.errors import Refused

EBML, SEGMENT = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067")
# Boxes with which a QuickTime or MPEG-4 file may begin (ISO/IEC 14496-12, 4.2; Apple's QuickTime File Format, "Atoms").
FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
PICTURE_BRANDS = {b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif", b"avis", b"crx "}
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"[playlist]", b"#!")
MAX_BOXES = 200_000  # fragments of half a second over three hours, many times over


@dataclass(frozen=True, slots=True)
class Box:
    """A top-level box: its type, where it begins, and where it says it ends."""

    kind: bytes
    start: int
    end: int


def check(path: Path) -> str:
    """Return "mp4" or "matroska" when the file is one, as far as its outer structure says, and is complete.

    Raises:
        Refused: empty_file, not_a_video, truncated.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if not head:
            raise Refused("empty_file", "The file is empty (0 bytes).")
        if head.startswith(EBML):
            _check_matroska(file, size)
            return "matroska"
        if len(head) >= 8 and head[4:8] in FIRST_BOXES:
            _check_mp4(file, size, head)
            return "mp4"
    raise Refused("not_a_video", _what_it_is(head))


def _what_it_is(head: bytes) -> str:
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(PLAYLISTS):
        return "The file is a playlist or a text that points to other files, not a video."
    return "The file is neither MP4/MOV nor Matroska/WebM, whatever its name says."


def _check_mp4(file: BinaryIO, size: int, head: bytes) -> None:
    if head[4:8] == b"ftyp" and head[8:12] in PICTURE_BRANDS:
        raise Refused("not_a_video", "The file is a still picture (HEIF or AVIF), not a video.")
    kinds = set()
    for box in _boxes(file, size):
        kinds.add(box.kind)
        if box.end > size:
            raise Refused("truncated", f"The file ends at byte {size}, its contents say {box.end}: upload it again.")
    if b"moov" not in kinds:
        raise Refused("truncated", "The file has no table of contents (moov); the end of it is probably missing.")


def _boxes(file: BinaryIO, size: int) -> Iterator[Box]:
    start = 0
    for _ in range(MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        # Less than a header, or zeros, after the last box is padding; cameras leave it.
        if len(header) < 8 or not header[4:8].strip(b"\0"):
            return
        length = int.from_bytes(header[:4])
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:])
        end = size if length == 0 else start + length
        if end - start < 8:
            raise Refused("damaged", f"The file's structure breaks off at byte {start}.")
        yield Box(header[4:8], start, end)
        start = end
        if start >= size:
            return
    raise Refused("damaged", f"The file has more than {MAX_BOXES} parts.")


def _check_matroska(file: BinaryIO, size: int) -> None:
    file.seek(4)
    header_size = _vint(file)
    file.seek(header_size or 0, 1)
    if file.read(4) != SEGMENT:
        raise Refused("damaged", "The file begins like Matroska or WebM and does not go on like it.")
    length = _vint(file)
    # None: a live recording that never wrote its length; the packets will tell.
    if length is not None and (end := file.tell() + length) > size:
        raise Refused("truncated", f"The file ends at byte {size}, its contents say {end}: upload it again.")


def _vint(file: BinaryIO) -> int | None:
    """Read a variable-length size (RFC 8794, section 4); None for the reserved value "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        raise Refused("damaged", "A length in the file's head cannot be read.")
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + file.read(extra))
    return None if value == (1 << 7 * (extra + 1)) - 1 else value
