"""The door to the publishers and the logins, by name."""

from __future__ import annotations

import time
from collections.abc import Callable

from platforms.contract import Disclosure, Publisher
from platforms.http.hosts import Hosts
from platforms.instagram.facebook_oauth import FacebookFlow
from platforms.instagram.oauth import InstagramFlow
from platforms.instagram.publisher import Instagram
from platforms.oauth.contract import Flow
from platforms.tiktok.oauth import TikTokFlow
from platforms.tiktok.publisher import TikTok
from platforms.youtube.oauth import GoogleFlow
from platforms.youtube.publisher import YouTube

PLATFORMS = ("tiktok", "instagram", "youtube")
VARIANTS = {
    "tiktok": ("tiktok",),
    "instagram": ("instagram_login", "facebook_login"),
    "youtube": ("google",),
}


def publisher(
    platform: str,
    hosts: Hosts,
    *,
    tiktok_mode: str = "inbox",
    disclosure: Disclosure = "gaze",
    pace: float = 1.0,
    clock: Callable[[], float] = time.time,
) -> Publisher:
    """Return the publisher of a platform.

    Args:
        tiktok_mode: "inbox" (drafts) or "direct".
        disclosure: when a post is declared as altered by AI.
        pace: factor on the pauses between questions: 1 against the real platforms, small against the mock.

    Raises:
        ValueError: there is no such platform or mode.
    """
    if tiktok_mode not in {"inbox", "direct"}:
        raise ValueError(f"no TikTok mode {tiktok_mode!r}")
    if platform == "tiktok":
        return TikTok(hosts, mode=tiktok_mode, disclosure=disclosure, pace=pace, clock=clock)
    if platform == "instagram":
        return Instagram(hosts, disclosure=disclosure, pace=pace, clock=clock)
    if platform == "youtube":
        return YouTube(hosts, disclosure=disclosure, pace=pace, clock=clock)
    raise ValueError(f"no platform {platform!r}")


def flow(variant: str, hosts: Hosts, *, tiktok_mode: str = "inbox") -> Flow:
    """Return a login.

    Args:
        variant: "tiktok", "instagram_login", "facebook_login" or "google".

    Raises:
        ValueError: there is no such login.
    """
    if variant == "tiktok":
        return TikTokFlow(hosts, mode=tiktok_mode)
    if variant == "instagram_login":
        return InstagramFlow(hosts)
    if variant == "facebook_login":
        return FacebookFlow(hosts)
    if variant == "google":
        return GoogleFlow(hosts)
    raise ValueError(f"no login {variant!r}")
