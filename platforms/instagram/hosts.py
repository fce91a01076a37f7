"""Meta's hosts: those of Instagram and of Facebook."""

from __future__ import annotations

import re
from dataclasses import dataclass

from platforms.http import hosts

_UPLOAD_HOSTS = re.compile(r"rupload\.facebook\.com")  # Instagram resumable uploads, updated 2026-03-15


@dataclass(frozen=True)
class MetaHosts(hosts.PlatformHosts):
    """The roots of Meta's hosts."""

    instagram_auth_url: str = "https://www.instagram.com"
    instagram_token_url: str = "https://api.instagram.com"  # noqa: S105 - an address, not a secret
    instagram_graph_url: str = "https://graph.instagram.com"
    facebook_auth_url: str = "https://www.facebook.com"
    facebook_graph_url: str = "https://graph.facebook.com"
    facebook_upload_url: str = "https://rupload.facebook.com"

    def accept_upload(self, url: str) -> str:
        """Return the upload `uri` of a container if it is on Meta's hosts; raise Rejected otherwise."""
        return hosts.accept(url, self.facebook_upload_url, _UPLOAD_HOSTS)
