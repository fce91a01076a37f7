"""The disk space that accepted jobs will still take: the parts that are to be rendered.

Their uploaded files are on the disk already, so they count as used. A finished part is on the disk, too.
"""

from __future__ import annotations

from sqlalchemy import Connection

from media import limits
from store import jobs, segments

PARTS_FACTOR = 1.0
"""Size of the parts of a video in multiples of its own, as long as its duration is unknown.

A part has at most 7.7 Mbit/s (`media.limits`). Phones record 1080p with more: the camera settings of iOS say 60 MB a
minute (8 Mbit/s) in HEVC, and 130 MB in H.264. Three recordings became parts of 6.3, 3.5 and 3.2 Mbit/s
(`media.writing.encode`). A video of a lower rate, as messengers send it, may have larger parts: as soon as it is
examined, its duration decides.
"""


def part_bytes(duration_s: float, parts: int = 1) -> int:
    """Return the largest size of a part, or of several of a total duration, with cover, preview and report."""
    return round(duration_s * limits.MAX_PART_BITS_S / 8) + parts * limits.PART_EXTRA_BYTES


def video_parts_bytes(source_bytes: int, videos: int = 1) -> int:
    """Return the size that is expected of all parts of a video, or of several, that are not examined yet."""
    return round(source_bytes * PARTS_FACTOR) + videos * limits.PART_EXTRA_BYTES


def unrendered_bytes(connection: Connection) -> int:
    """Return the bytes that the accepted jobs may still write. Two queries on indexes."""
    videos, source_bytes = jobs.unplanned(connection)
    parts, duration_s = segments.unrendered(connection)
    return video_parts_bytes(source_bytes, videos) + part_bytes(duration_s, parts)
