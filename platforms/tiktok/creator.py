"""TikTok's creator: its guidelines demand that name and privacy are shown where a post is made."""

from __future__ import annotations

from platforms.creator import Creator
from platforms.http.hosts import Roots
from platforms.tiktok.api import TikTokApi
from platforms.tiktok.chunks import PRIVACY
from platforms.tiktok.hosts import TikTokHosts


def creator(roots: Roots, token: str) -> Creator:
    """Ask for the creator of an account.

    Raises:
        PlatformError: see `platforms.errors`.
    """
    info = TikTokApi(TikTokHosts.at(roots)).creator_info(token)
    return Creator(
        username=info.creator_username,
        name=info.creator_nickname,
        avatar_url=info.creator_avatar_url,
        privacies=tuple(ours for ours, theirs in PRIVACY.items() if theirs in info.privacy_level_options),
        comment_allowed=not info.comment_disabled,
        duet_allowed=not info.duet_disabled,
        stitch_allowed=not info.stitch_disabled,
        max_duration_s=info.max_video_post_duration_sec or None,
    )
