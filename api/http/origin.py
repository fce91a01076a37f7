"""Recognizes requests that another site's page has sent: the defence against forged changes (CSRF).

Browsers send Sec-Fetch-Site in requests to https and loopback, but not to other http addresses, and Safari only since
16.4 (March 2023). So Origin is compared, too, else Referer. Sources: Fetch Metadata (w3.org/TR/fetch-metadata), the
Fetch standard's "append a request Origin header", and the order of checks of Go's net/http CrossOriginProtection.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

WebOrigin = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, kw_only=True)
class PageHeaders:
    """The headers that tell which page sent a request; None: not sent."""

    fetch_site: str | None = None  # Sec-Fetch-Site
    origin: str | None = None
    referer: str | None = None
    host: str | None = None


def is_foreign(headers: PageHeaders, root_url: str) -> bool:
    """Return whether the headers say that another site's page sent the request.

    Sec-Fetch-Site alone is not believed when Origin contradicts it: Safari sent `same-origin` when a person reloaded a
    form of another site (fixed in 2026).

    Args:
        headers: of the request.
        root_url: our public address; a proxy may send another Host.
    """
    if headers.fetch_site is not None and headers.fetch_site not in {"same-origin", "none"}:
        return True
    if headers.origin == "null":  # a sandboxed frame or a file; or our own page, if a proxy sets "no-referrer"
        return headers.fetch_site != "same-origin"
    if headers.origin is not None:
        return not _is_own(headers.origin, headers.host, root_url)
    if headers.fetch_site is None and headers.referer is not None:
        return not _is_own(headers.referer, headers.host, root_url)
    return False


def is_unknown(headers: PageHeaders) -> bool:
    """Return whether no header tells which page sent the request: it comes from a program, or a very old browser."""
    return headers.fetch_site is None and headers.origin is None and headers.referer is None


def _is_own(address: str, host: str | None, root_url: str) -> bool:
    sent, own = web_origin(address), web_origin(root_url)
    if sent is None:
        return False
    if sent == own:
        return True
    if own is not None and own[0] == "https" and sent[:2] == ("http", own[1]):
        return False  # a page that somebody on the network has made: ours is served with https
    # Host has no scheme. A proxy that ends https forwards http, so the page's scheme decides about the default port.
    return host is not None and sent == web_origin(f"{sent[0]}://{host}")


def web_origin(address: str) -> WebOrigin | None:
    """Return the origin of an http address; None if it is none."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return scheme, parts.hostname.lower().rstrip("."), port or DEFAULT_PORTS[scheme]
