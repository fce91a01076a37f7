"""Measures how much of a video is missing at the end of its file. Only that makes a file "truncated".

An index at the front lists all samples, so those beyond the end of the file are missing. A recording in fragments or
clusters that was cut off shows only what is missing of the last one. Such a video is used as far as it goes, as players
do, with a warning.
"""

from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from media.container.structure import Structure
from media.errors import Refused

# A video of declared length is truncated if more than either of these is missing.
MISSING_S, MISSING_SHARE = 1.0, 0.02
MIN_WARNED_S = 0.1  # length fields that are wrong by a few bytes come to less
# A video without one, which was cut off in its last fragment, likewise.
FRAGMENT_S, FRAGMENT_SHARE = 10.0, 0.1


@dataclass(frozen=True, slots=True)
class Completeness:
    """The present and the missing duration of a video."""

    present_s: float
    missing_s: float
    has_declared_length: bool  # the file declares the length of the whole video


def of_samples(
    video: VideoStream, sound: AudioStream | None, present_s: float, size_bytes: int, structure: Structure
) -> Completeness:
    """Measure an MP4 or QuickTime file by the samples in its index, after its packets were read.

    Args:
        video: with the index entries that the edit lists present.
        sound: likewise; None if there is none.
        present_s: duration of the pictures that were read.
        size_bytes: of the file.
        structure: of the file.
    """
    missing_s = max(_missing_s(stream, present_s, size_bytes) for stream in (video, sound) if stream is not None)
    if structure.declared_end > size_bytes and structure.declared_s is not None:
        reached_s = max(present_s, _reached_s(sound, size_bytes))
        missing_s = max(missing_s, structure.declared_s - reached_s)
    return Completeness(present_s, missing_s, has_declared_length=structure.has_declared_length)


def of_clusters(begins_s: float, present_s: float, size_bytes: int, structure: Structure) -> Completeness:
    """Measure a Matroska file by the length fields of its elements.

    Args:
        begins_s: time of the first picture. Writers count a Segment's duration from there or from zero.
        present_s: duration of the pictures that were read.
        size_bytes: of the file.
        structure: of the file.
    """
    missing_s = present_s * max(structure.declared_end - size_bytes, 0) / size_bytes
    # A length field may be wrong by a few bytes, and the declared duration may be that of a longer sound.
    if missing_s > MISSING_SHARE * present_s and structure.declared_s is not None:
        counted = (structure.declared_s - present_s, structure.declared_s - begins_s - present_s)
        missing_s = max(min(counted, key=abs), 0.0)
    return Completeness(present_s, missing_s, has_declared_length=structure.has_declared_length)


def check(completeness: Completeness) -> bool:
    """Return whether the video needs a warning about a missing end.

    Raises:
        Refused: truncated: more is missing than the limits above.
    """
    whole_s = completeness.present_s + completeness.missing_s
    limits = (MISSING_S, MISSING_SHARE) if completeness.has_declared_length else (FRAGMENT_S, FRAGMENT_SHARE)
    if completeness.missing_s > min(limits[0], limits[1] * whole_s):
        raise Refused(
            "truncated",
            f"The file breaks off: {completeness.present_s:.1f} seconds of pictures are there, but the last "
            f"{completeness.missing_s:.1f} seconds of picture or sound are missing. Upload it again.",
        )
    return completeness.missing_s > MIN_WARNED_S


def _missing_s(stream: VideoStream | AudioStream, present_s: float, size_bytes: int) -> float:
    """Return how many seconds of a track's presented samples lie beyond the file's end."""
    presented = missing = 0
    for entry in stream.index_entries:
        if not entry.is_discard:
            presented += 1
            missing += entry.pos + entry.size > size_bytes
    if not missing:
        return 0.0
    duration_s = float((stream.duration or 0) * (stream.time_base or 0))
    return missing / presented * duration_s if duration_s else present_s * missing / max(presented - missing, 1)


def _reached_s(sound: AudioStream | None, size_bytes: int) -> float:
    if sound is None or sound.time_base is None:
        return 0.0
    present = (entry.timestamp for entry in sound.index_entries if entry.pos + entry.size <= size_bytes)
    return float(max(present, default=0) * sound.time_base)
