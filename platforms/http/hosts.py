"""The root of every remote host, and which addresses that a platform hands us are really its own.

The real paths are appended to these roots. They are arguments so that the same code speaks to a mock; a root set that
way may carry a path of its own ("http://127.0.0.1:9000/tiktok-api").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from platforms.errors import Rejected


@dataclass(frozen=True)
class Hosts:
    """Roots without a trailing slash; the names are those of the environment in lower case."""

    tiktok_auth_url: str = "https://www.tiktok.com"
    tiktok_api_url: str = "https://open.tiktokapis.com"
    tiktok_upload_url: str = "https://open-upload.tiktokapis.com"
    instagram_auth_url: str = "https://www.instagram.com"
    instagram_token_url: str = "https://api.instagram.com"  # noqa: S105 - an address, not a secret
    instagram_graph_url: str = "https://graph.instagram.com"
    facebook_auth_url: str = "https://www.facebook.com"
    facebook_graph_url: str = "https://graph.facebook.com"
    facebook_upload_url: str = "https://rupload.facebook.com"
    google_auth_url: str = "https://accounts.google.com"
    google_token_url: str = "https://oauth2.googleapis.com"  # noqa: S105 - an address, not a secret
    youtube_api_url: str = "https://www.googleapis.com"

    def accept_tiktok_upload(self, url: str) -> str:
        """Return TikTok's `upload_url` if it is TikTok's; raise Rejected otherwise."""
        return _accept(url, self.tiktok_upload_url, _TIKTOK_UPLOAD)

    def accept_facebook_upload(self, url: str) -> str:
        """Return Instagram's upload `uri` if it is Meta's; raise Rejected otherwise."""
        return _accept(url, self.facebook_upload_url, _FACEBOOK_UPLOAD)

    def accept_youtube_session(self, url: str) -> str:
        """Return YouTube's session address if it is Google's; raise Rejected otherwise."""
        return _accept(url, self.youtube_api_url, _YOUTUBE_SESSION)

    def tiktok_link(self, username: str, post_id: str) -> str:
        """Return where people see a TikTok post."""
        return f"{self.tiktok_auth_url}/@{username}/video/{post_id}"

    def youtube_link(self, video_id: str) -> str:
        """Return where people see a Short; below the configured root when that is not the real one."""
        real = self.youtube_api_url == Hosts.youtube_api_url
        return f"{'https://www.youtube.com' if real else self.youtube_api_url}/shorts/{video_id}"


# Hosts seen: open-upload.tiktokapis.com and upload.<region>.tiktokapis.com (an API study of 2026-07-22).
_TIKTOK_UPLOAD = re.compile(r"(open-)?upload[a-z0-9-]*(\.[a-z0-9-]+)?\.tiktokapis\.com")
# developers.facebook.com, Instagram resumable uploads, updated 2026-03-15.
_FACEBOOK_UPLOAD = re.compile(r"rupload\.facebook\.com")
# developers.google.com/youtube/v3/guides/using_resumable_upload_protocol, read 2026-11-22.
_YOUTUBE_SESSION = re.compile(r"[a-z0-9-]+\.googleapis\.com")
_PLAIN = re.compile(r"[\x21-\x7e]+")  # one line of visible ASCII: no spaces, no control characters


def _accept(url: str, root: str, real: re.Pattern[str]) -> str:
    if _PLAIN.fullmatch(url) and "\\" not in url and (_is_real(url, real) or _is_under(url, root)):
        return url
    raise Rejected("foreign_address", "the platform named an upload address that is not its own")


def _is_real(url: str, real: re.Pattern[str]) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "https" and parts.username is None and parts.password is None
    return plain and port in {None, 443} and real.fullmatch((parts.hostname or "").lower()) is not None


def _is_under(url: str, root: str) -> bool:
    # Compared as text after the root, so userinfo and another port cannot slip in: the root ends where a path,
    # a query or the end begins. Dots are refused since some servers would climb out of the root by them.
    rest = url[len(root) :]
    climbs = "/../" in f"{rest.partition('?')[0]}/" or "%2e" in rest.partition("?")[0].lower()
    return url.startswith(root) and rest[:1] in {"", "/", "?"} and not climbs
