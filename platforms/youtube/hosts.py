"""Google's hosts: those of its login and of YouTube's API."""

from __future__ import annotations

import re
from dataclasses import dataclass

from platforms.http import hosts

# developers.google.com/youtube/v3/guides/using_resumable_upload_protocol, read 2026-11-22.
_SESSION_HOSTS = re.compile(r"[a-z0-9-]+\.googleapis\.com")


@dataclass(frozen=True)
class GoogleHosts(hosts.PlatformHosts):
    """The roots of Google's hosts."""

    google_auth_url: str = "https://accounts.google.com"
    google_token_url: str = "https://oauth2.googleapis.com"  # noqa: S105 - an address, not a secret
    youtube_api_url: str = "https://www.googleapis.com"

    def accept_session(self, url: str) -> str:
        """Return the address of an upload session if it is on Google's hosts; raise Rejected otherwise."""
        return hosts.accept(url, self.youtube_api_url, _SESSION_HOSTS)

    def link(self, video_id: str) -> str:
        """Return the public address of a Short; below the configured root when that is not the real one."""
        real = self.youtube_api_url == GoogleHosts.youtube_api_url
        return f"{'https://www.youtube.com' if real else self.youtube_api_url}/shorts/{video_id}"
