"""TikTok's hosts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from platforms.http import hosts

# Seen: open-upload.tiktokapis.com and upload.<region>.tiktokapis.com (an API study of 2026-07-22).
_UPLOAD_HOSTS = re.compile(r"(open-)?upload[a-z0-9-]*(\.[a-z0-9-]+)?\.tiktokapis\.com")


@dataclass(frozen=True)
class TikTokHosts(hosts.PlatformHosts):
    """The roots of TikTok's hosts."""

    tiktok_auth_url: str = "https://www.tiktok.com"
    tiktok_api_url: str = "https://open.tiktokapis.com"
    tiktok_upload_url: str = "https://open-upload.tiktokapis.com"

    def accept_upload(self, url: str) -> str:
        """Return TikTok's `upload_url` if it is on TikTok's hosts; raise Rejected otherwise."""
        return hosts.accept(url, self.tiktok_upload_url, _UPLOAD_HOSTS)

    def link(self, username: str, post_id: str) -> str:
        """Return the public address of a post."""
        return f"{self.tiktok_auth_url}/@{username}/video/{post_id}"
