"""The facts about an upload that the probe found; no video library."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any


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
    """The sound track that the parts contain."""

    stream: int  # index among all tracks of the file, from 0
    codec: str
    sample_rate: int
    channels: int
    start_s: float  # after the video's beginning; negative if the sound begins slightly earlier
    tracks: int  # sound tracks in the file; one of them is used


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about an accepted upload."""

    container: str  # "mp4" or "matroska"
    video_codec: str
    width: int  # of the upright picture with square pixels, before any scaling
    height: int
    rotation: int  # degrees clockwise that turn the stored picture upright: 0, 90, 180, 270
    mirrored: bool  # the stored picture is also flipped left to right, after turning
    pixel_format: str
    hdr: str | None  # "hlg", "pq" or None
    frame_rate: Fraction  # of the source; the nominal rate if `vfr`
    output_rate: Fraction  # of the parts
    vfr: bool  # variable frame rate: the time stamps fit no constant rate
    frames: int  # pictures in the source
    duration_s: float
    size_bytes: int
    audio: Audio | None
    warnings: tuple[MediaWarning, ...] = ()

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the facts as plain values; rates as "30000/1001"."""
        return asdict(self) | {"frame_rate": str(self.frame_rate), "output_rate": str(self.output_rate)}
