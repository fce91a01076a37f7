"""What TikTok wants to be told about a post, and in which chunks it wants the bytes; nothing here calls anyone."""

from __future__ import annotations

import re
from collections.abc import Mapping

from platforms import wording
from platforms.contract import Disclosure, Handle, Post
from platforms.disclosure import declares
from platforms.http.client import Response
from platforms.tiktok.api import Creator

# Media transfer guide (developers.tiktok.com, read 2026-11-22): ≤ 4 GB, one chunk up to 64 MB, other chunks 5 to 64 MB,
# the remainder rides in the last one (≤ 128 MB). Decimal megabytes satisfy both readings of "MB". 32 MB chunks keep a
# file just above the limit in "several" chunks, as the guide wants.
MAX_BYTES = 4_000_000_000
MAX_SINGLE_BYTES = 64_000_000
CHUNK_BYTES = 32_000_000
MIN_S, MAX_S = 3.0, 600.0  # minimum: third parties' observation; maximum: media transfer guide

PRIVACY: Mapping[str, str] = {
    "public": "PUBLIC_TO_EVERYONE",
    "friends": "MUTUAL_FOLLOW_FRIENDS",
    "followers": "FOLLOWER_OF_CREATOR",
    "private": "SELF_ONLY",
}


def chunk_size(size: int, chunk_bytes: int) -> int:
    """Return the chunk size to announce: the whole file when it may go as one, `chunk_bytes` otherwise."""
    return size if size <= min(MAX_SINGLE_BYTES, 2 * chunk_bytes) else chunk_bytes


def chunk_end(first: int, size: int, chunk: int) -> int:
    """Return where the chunk ends in which `first` lies; the last chunk takes the remainder."""
    last = max(1, size // chunk) - 1
    number = min(first // chunk, last)
    return size if number == last else (number + 1) * chunk


def taken(reply: Response) -> int | None:
    """Return the last figure of `Content-Range: bytes 0-{taken}/{total}`; None when it is not there."""
    found = re.fullmatch(r"bytes 0-(\d{1,15})/(\d{1,15}|\*)", reply.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def closed(creator: Creator, ticked: frozenset[str]) -> dict[str, int]:
    """Return which interactions are off: those that the account bars and those that nobody ticked."""
    barred = {
        "comment": creator.comment_disabled,
        "duet": creator.duet_disabled,
        "stitch": creator.stitch_disabled,
    }
    return {f"disable_{name}": int(off or name not in ticked) for name, off in barred.items()}


def post_info(post: Post, handle: Handle, disclosure: Disclosure) -> dict[str, object]:
    """Return what a direct post says of itself."""
    return {
        "title": wording.compose("tiktok", post.title, post.caption, post.part, post.parts).text,
        "privacy_level": handle.text("privacy_level"),
        **{name: bool(handle.number(name)) for name in ("disable_comment", "disable_duet", "disable_stitch")},
        "brand_content_toggle": False,
        "brand_organic_toggle": False,
        "is_aigc": declares(post, disclosure),
    }
