"""Where on the mock each remote host's real paths begin."""

from __future__ import annotations

from platforms.http.hosts import Hosts

TIKTOK_AUTH = "/tiktok-auth"
TIKTOK_API = "/tiktok-api"
TIKTOK_UPLOAD = "/tiktok-upload"
INSTAGRAM_AUTH = "/instagram-auth"
INSTAGRAM_TOKEN = "/instagram-token"  # noqa: S105 - a path
INSTAGRAM_GRAPH = "/instagram-graph"
FACEBOOK_AUTH = "/facebook-auth"
FACEBOOK_GRAPH = "/facebook-graph"
FACEBOOK_UPLOAD = "/facebook-upload"
GOOGLE_AUTH = "/google-auth"
GOOGLE_TOKEN = "/google-token"  # noqa: S105 - a path
YOUTUBE_API = "/youtube-api"


def mock_hosts(base_url: str) -> Hosts:
    """Return the roots of a mock at `base_url` ("http://127.0.0.1:9100")."""
    base = base_url.rstrip("/")
    return Hosts(
        tiktok_auth_url=base + TIKTOK_AUTH,
        tiktok_api_url=base + TIKTOK_API,
        tiktok_upload_url=base + TIKTOK_UPLOAD,
        instagram_auth_url=base + INSTAGRAM_AUTH,
        instagram_token_url=base + INSTAGRAM_TOKEN,
        instagram_graph_url=base + INSTAGRAM_GRAPH,
        facebook_auth_url=base + FACEBOOK_AUTH,
        facebook_graph_url=base + FACEBOOK_GRAPH,
        facebook_upload_url=base + FACEBOOK_UPLOAD,
        google_auth_url=base + GOOGLE_AUTH,
        google_token_url=base + GOOGLE_TOKEN,
        youtube_api_url=base + YOUTUBE_API,
    )
