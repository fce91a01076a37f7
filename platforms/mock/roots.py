"""The roots of the mock: every remote host is a path of one server."""

from __future__ import annotations

from platforms import registry
from platforms.http.hosts import Roots


def path(root_name: str) -> str:
    """Return where a remote host's paths begin on the mock: "/tiktok-api" for "tiktok_api_url"."""
    return "/" + root_name.removesuffix("_url").replace("_", "-")


def mock_hosts(base_url: str) -> Roots:
    """Return the roots of a mock at `base_url` ("http://127.0.0.1:9100")."""
    return {name: base_url.rstrip("/") + path(name) for name in registry.ROOT_NAMES}
