"""The chunks of a TikTok upload, and the fields of a direct post. Pure functions; nothing here sends a request."""

from __future__ import annotations

import re
from collections.abc import Mapping

from platforms.contract import Disclosure, Handle, Post, Privacy
from platforms.http.client import Response
from platforms.steps import cover_ms
from platforms.tiktok import wording
from platforms.tiktok.api import CreatorInfo
from platforms.tiktok.options import TikTokOptions

# Media transfer guide (developers.tiktok.com, read 2026-11-22): ≤ 4 GB, one chunk up to 64 MB, other chunks 5 to 64 MB,
# the remainder belongs to the last one (≤ 128 MB). Decimal megabytes satisfy both readings of "MB". With 32 MB chunks,
# a file just above the limit still has "several" chunks, as the guide requires.
MAX_BYTES = 4_000_000_000
MAX_SINGLE_BYTES = 64_000_000
CHUNK_BYTES = 32_000_000
MIN_S, MAX_S = 3.0, 600.0  # minimum: third parties' observation; maximum: media transfer guide

PRIVACY: Mapping[Privacy, str] = {
    "public": "PUBLIC_TO_EVERYONE",
    "friends": "MUTUAL_FOLLOW_FRIENDS",
    "followers": "FOLLOWER_OF_CREATOR",
    "private": "SELF_ONLY",
}


def chunk_size(size: int, chunk_bytes: int) -> int:
    """Return the chunk size to announce: the whole file when it fits into one chunk, `chunk_bytes` otherwise."""
    return size if size <= min(MAX_SINGLE_BYTES, 2 * chunk_bytes) else chunk_bytes


def chunk_end(first: int, size: int, chunk: int) -> int:
    """Return the end of the chunk that contains `first`; the last chunk includes the remainder."""
    last = max(1, size // chunk) - 1
    number = min(first // chunk, last)
    return size if number == last else (number + 1) * chunk


def last_received(response: Response) -> int | None:
    """Return N of `Content-Range: bytes 0-{N}/{total}`; None when the header is missing or malformed."""
    found = re.fullmatch(r"bytes 0-(\d{1,15})/(\d{1,15}|\*)", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def disabled_interactions(creator: CreatorInfo, options: TikTokOptions) -> dict[str, int]:
    """Return which interactions are off: those that the account disables and those that the creator did not allow.

    TikTok's content sharing guidelines demand that none is allowed by default.
    """
    return {
        "disable_comment": int(creator.comment_disabled or not options.allow_comment),
        "disable_duet": int(creator.duet_disabled or not options.allow_duet),
        "disable_stitch": int(creator.stitch_disabled or not options.allow_stitch),
    }


def post_info(post: Post, handle: Handle, disclosure: Disclosure) -> dict[str, object]:
    """Return the `post_info` of a direct post."""
    options = TikTokOptions.read(post.options)
    cover = {} if options.cover_s is None else {"video_cover_timestamp_ms": cover_ms(options.cover_s, post.duration_s)}
    return {
        "title": wording.compose(post.title, post.caption).text,
        "privacy_level": handle.text("privacy_level"),
        **{name: bool(handle.number(name)) for name in ("disable_comment", "disable_duet", "disable_stitch")},
        "brand_content_toggle": bool(options.brand_content),
        "brand_organic_toggle": bool(options.own_brand),
        "is_aigc": post.is_declared_as_ai(disclosure),
        **cover,
    }
