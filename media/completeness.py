"""How much of a film is missing at a file's end, judged by its samples; nothing else makes a file "truncated".

A table of contents at the front names all samples of the film, and so tells what is missing when the file ends before
them. A film of fragments or clusters that was cut off while it was recorded tells only what is missing of the last one;
such a film is used as far as it goes, as players do, and its creator is told.
"""

from dataclasses import dataclass

from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from media.errors import Refused
from media.structure import Structure

# What may be missing of a film whose whole length is known: less than both, and it is not noticed.
MISSING_S, MISSING_SHARE = 1.0, 0.02
NOTICED_S = 0.1  # lengths that are wrong by a few bytes come to less
# And of one that was cut off in its last fragment: more than either is not the tail of a recording.
FRAGMENT_S, FRAGMENT_SHARE = 10.0, 0.1


@dataclass(frozen=True, slots=True)
class Presence:
    """What is there of a film, and what of it is known to be missing."""

    present_s: float
    missing_s: float
    is_promised: bool  # the file tells how long the whole is


def of_samples(
    video: VideoStream, sound: AudioStream | None, present_s: float, size_bytes: int, outer: Structure
) -> Presence:
    """Judge an MP4 or QuickTime file by the samples in its index, once its packets were read.

    Args:
        video: its index holds what the edit lists show.
        sound: likewise; None when there is none.
        present_s: how long the pictures last that were read.
        size_bytes: of the file.
        outer: its outer structure.
    """
    missing_s = max(_missing_s(stream, present_s, size_bytes) for stream in (video, sound) if stream is not None)
    if outer.claimed_end > size_bytes and outer.promised_s is not None:
        reached_s = max(present_s, _reached_s(sound, size_bytes))
        missing_s = max(missing_s, outer.promised_s - reached_s)
    return Presence(present_s, missing_s, is_promised=outer.tells_length)


def of_clusters(begins_s: float, present_s: float, size_bytes: int, outer: Structure) -> Presence:
    """Judge a Matroska file by where its elements say they end.

    Args:
        begins_s: time of the first picture; a Segment's duration is counted from there or from zero.
        present_s: how long the pictures last that were read.
        size_bytes: of the file.
        outer: its outer structure.
    """
    missing_s = present_s * max(outer.claimed_end - size_bytes, 0) / size_bytes
    # A few bytes too many in a length say nothing of the film, and a sound that is longer than it neither.
    if missing_s > MISSING_SHARE * present_s and outer.promised_s is not None:
        counted = (outer.promised_s - present_s, outer.promised_s - begins_s - present_s)
        missing_s = max(min(counted, key=abs), 0.0)
    return Presence(present_s, missing_s, is_promised=outer.tells_length)


def check(presence: Presence) -> bool:
    """Say whether something is missing at the end that a creator should be told of.

    Raises:
        Refused: truncated: so much is missing that the film is not whole.
    """
    whole_s = presence.present_s + presence.missing_s
    limits = (MISSING_S, MISSING_SHARE) if presence.is_promised else (FRAGMENT_S, FRAGMENT_SHARE)
    if presence.missing_s > min(limits[0], limits[1] * whole_s):
        raise Refused(
            "truncated",
            f"The file breaks off: {presence.present_s:.1f} seconds of pictures are there, and the last "
            f"{presence.missing_s:.1f} seconds of picture or sound are missing. Upload it again.",
        )
    return presence.missing_s > NOTICED_S


def _missing_s(stream: VideoStream | AudioStream, present_s: float, size_bytes: int) -> float:
    """Return how many seconds of a track's shown samples lie beyond the file's end."""
    shown = missing = 0
    for entry in stream.index_entries:
        if not entry.is_discard:
            shown += 1
            missing += entry.pos + entry.size > size_bytes
    if not missing:
        return 0.0
    lasts_s = float((stream.duration or 0) * (stream.time_base or 0))
    return missing / shown * lasts_s if lasts_s else present_s * missing / max(shown - missing, 1)


def _reached_s(sound: AudioStream | None, size_bytes: int) -> float:
    if sound is None or sound.time_base is None:
        return 0.0
    there = (entry.timestamp for entry in sound.index_entries if entry.pos + entry.size <= size_bytes)
    return float(max(there, default=0) * sound.time_base)
