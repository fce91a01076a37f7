"""The videos that are uploaded: short clips, each of its own colour, and files that are none."""

from __future__ import annotations

import random
import re
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

Colour = tuple[int, int, int]  # red, green, blue
COLOURS: tuple[Colour, ...] = ((190, 60, 60), (60, 190, 60), (60, 60, 190), (180, 180, 50), (50, 180, 180))
SECONDS = (13, 8, 5, 8, 7)
"""Lengths of the clips; with `SEGMENT_S` they make one to three parts."""
SEGMENT_S = 6
_FTYP = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


@dataclass(frozen=True)
class Clip:
    """A file to upload."""

    path: Path
    duration_s: float = 0.0
    colour: Colour | None = None  # None: a file that is not a whole video

    @property
    def is_talk(self) -> bool:
        """Return whether it is a video that has to be published."""
        return self.colour is not None


def render_talks(directory: Path) -> list[Clip]:
    """Render the clips: a patch of a moving pattern on one colour, and sound with pauses."""
    made = []
    for number, (colour, seconds) in enumerate(zip(COLOURS, SECONDS, strict=True)):
        path = directory / f"talk-{number}.mp4"
        sound = f"sine=frequency=220:duration={seconds},volume='if(lt(mod(t,2.5),1.9),0.5,0.001)':eval=frame"
        picture = f"color=0x{bytes(colour).hex()}:size=270x480:rate=15:duration={seconds}"
        pattern = f"testsrc2=size=90x90:rate=15:duration={seconds}"
        _ffmpeg(
            *("-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", pattern, "-f", "lavfi", "-i", sound),
            *("-filter_complex", "[0][1]overlay=x=90:y=370", "-c:v", "libx264", "-preset", "ultrafast"),
            *("-pix_fmt", "yuv420p", "-g", "30", "-c:a", "aac", str(path)),
        )
        made.append(Clip(path, seconds, colour))
    return made


def write_hostile(directory: Path, talk: Clip, rng: random.Random) -> list[Clip]:
    """Write files that are no whole videos: empty, cut off, damaged, with wrong sizes, of another type."""
    content = talk.path.read_bytes()
    files = {
        "empty.mp4": b"",
        "playlist.mp4": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "cut.mp4": content[: len(content) // 3],
        "noise.mp4": _FTYP + rng.randbytes(200_000),
        "damaged.mp4": _damaged(content, rng),
        "endless-box.mp4": _FTYP + struct.pack(">I4sQ", 1, b"mdat", 2**62) + rng.randbytes(50_000),
        "large-atom.mp4": _FTYP + struct.pack(">I4s", 2**31 - 1, b"moov") + content[32:60_000],
        "picture.mp4": b"\x89PNG\r\n\x1a\n" + rng.randbytes(10_000),
        "archive.mp4": b"PK\x03\x04" + rng.randbytes(10_000),
    }
    for name, written in files.items():
        (directory / name).write_bytes(written)
    return [Clip(directory / name) for name in files]


def _damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a video with wrong bytes in its index, which is where the lengths and offsets are."""
    damaged, index = bytearray(content), content.rfind(b"moov")
    for _ in range(200):
        damaged[rng.randrange(index, len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def files_of(directory: Path) -> Iterator[Clip]:
    """Yield the files of a directory."""
    yield from (Clip(path) for path in sorted(directory.iterdir()) if path.is_file())


def duration_s(path: Path) -> float:
    """Return the duration that a file states; 0 if it is no video."""
    found = re.search(r"Duration: (\d+):(\d+):([\d.]+)", _ffmpeg("-i", str(path), check=False).stderr.decode())
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


def colour_of(path: Path) -> Colour:
    """Return the colour of the upper half of the first frame."""
    crop = "crop=iw:ih/2:0:0,scale=1:1:flags=area"
    arguments = ("-i", str(path), "-vf", crop, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    found = _ffmpeg(*arguments, check=False).stdout
    return (found[0], found[1], found[2]) if len(found) == len(COLOURS[0]) else (0, 0, 0)


def _ffmpeg(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *arguments]
    return subprocess.run(command, check=check, capture_output=True)
