"""The chunks of a TikTok upload, and the fields of a direct post. Pure functions; nothing here sends a request."""

from __future__ import annotations

import re
from collections.abc import Mapping

from platforms.contract import Disclosure, Handle, Post
from platforms.http.client import Response
from platforms.tiktok import wording
from platforms.tiktok.api import CreatorInfo

# Media transfer guide (developers.tiktok.com, read 2026-11-22): ≤ 4 GB, one chunk up to 64 MB, other chunks 5 to 64 MB,
# the remainder belongs to the last one (≤ 128 MB). Decimal megabytes satisfy both readings of "MB". With 32 MB chunks,
# a file just above the limit still has "several" chunks, as the guide requires.
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


def disabled_interactions(creator: CreatorInfo, allowed: frozenset[str]) -> dict[str, int]:
    """Return which interactions are off: those that the account disables and those that the owner did not allow."""
    disabled = {
        "comment": creator.comment_disabled,
        "duet": creator.duet_disabled,
        "stitch": creator.stitch_disabled,
    }
    return {f"disable_{name}": int(off or name not in allowed) for name, off in disabled.items()}


def post_info(post: Post, handle: Handle, disclosure: Disclosure) -> dict[str, object]:
    """Return the `post_info` of a direct post."""
    return {
        "title": wording.compose(post.title, post.caption).text,
        "privacy_level": handle.text("privacy_level"),
        **{name: bool(handle.number(name)) for name in ("disable_comment", "disable_duet", "disable_stitch")},
        "brand_content_toggle": False,
        "brand_organic_toggle": False,
        "is_aigc": post.is_declared_as_ai(disclosure),
    }
