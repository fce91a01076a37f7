"""What a look at an upload tells about it, and the limits an upload must keep; no video library.

The limits are ours, chosen for a machine of 512 MB; what the platforms want of a part is in `media.writing.encode`.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

MIN_SECONDS = 3  # the platforms' minimum for one post (TikTok, Instagram; read 2026-11-22)
MAX_SECONDS = 3 * 3600
MAX_SIDE = 4096
MAX_PIXELS = 4096 * 2304  # 4K in every camera's idea of it; one decoded picture is 14 MB
MAX_STREAMS = 32  # phones write up to eight, action cameras some more
# What a render holds beside decoded pictures, and how many of those a decoder keeps at the least. Measured
# 2026-11-26, own memory of a render without gaze correction: 4K H.264 179 to 245 MiB, HEVC 253, with 10 bits 355;
# 1080p HLG 190.
RENDER_BYTES, PICTURES_KEPT = 130 << 20, 7
MIN_FRAMES_A_SECOND = 0.1  # on average; fewer, and a file of kilobytes becomes hours of stills
STILL_SECONDS = 60  # of sound without pictures do not count for this minimum: speech over a still, a lost picture
MAX_FRAMES = 3_000_000  # three hours at 240 a second and a little


class MediaWarning(StrEnum):
    """A warning about an accepted upload; stable codes, shown in status and page."""

    SOUND_UNREADABLE = "sound_unreadable"  # the file has sound tracks, but none can be decoded
    PAUSES_NOT_FOUND = "pauses_not_found"  # the sound could not be searched for pauses
    PICTURE_ENDS_EARLY = "picture_ends_early"  # sound continues after the last picture, which is held
    PICTURE_BEGINS_LATE = "picture_begins_late"  # sound begins before the first picture, which is held
    END_MISSING = "end_missing"  # the file breaks off; it is used as far as it goes
    SIZE_CHANGES = "size_changes"  # the picture changes its size; all sizes are fitted into one output size


@dataclass(frozen=True, slots=True)
class Audio:
    """The sound track that goes into the parts."""

    stream: int  # its place among all tracks of the file, from 0
    codec: str
    sample_rate: int
    channels: int
    start_s: float  # after the film's beginning; negative if the sound begins slightly earlier
    tracks: int  # sound tracks in the file; one of them is used


@dataclass(frozen=True, slots=True)
class Facts:
    """One upload that can be cut, as the probe found it."""

    container: str  # "mp4" or "matroska"
    video_codec: str
    width: int  # of the upright picture with square pixels, before any scaling
    height: int
    rotation: int  # degrees clockwise by which the stored picture is turned to stand upright: 0, 90, 180, 270
    mirrored: bool  # the stored picture is also flipped left to right, after turning
    pixel_format: str
    hdr: str | None  # "hlg", "pq" or None
    frame_rate: Fraction  # of the source; the nominal one when `vfr`
    output_rate: Fraction  # of the parts
    vfr: bool  # the times of the frames do not fit one constant rate
    frames: int  # pictures in the source
    duration_s: float
    size_bytes: int
    audio: Audio | None
    warnings: tuple[MediaWarning, ...] = ()

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the facts as plain values; rates as "30000/1001"."""
        return asdict(self) | {"frame_rate": str(self.frame_rate), "output_rate": str(self.output_rate)}
