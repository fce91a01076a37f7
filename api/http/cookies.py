"""Cookies of the web page: their names, and the values in a request.

With https a name begins with `__Host-`: browsers then accept the cookie only with Secure, Path=/ and no Domain, so
that no other host and no unencrypted page can set or replace it. Browsers refuse such a cookie with http, for which the
plain name is used (development on loopback). A session of the other kind is simply not found.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import falcon

SESSION = "vidprod_session"
CONNECT = "vidprod_connect_"  # the first characters of the state follow: logins in two tabs do not disturb each other


class Cookies:
    """Reads and sets the cookies of one installation.

    Args:
        root_url: its public address, which decides whether cookies are for https.
    """

    def __init__(self, root_url: str) -> None:
        self.secure = urlsplit(root_url).scheme.lower() == "https"

    def name(self, plain: str) -> str:
        """Return the full name of a cookie."""
        return f"__Host-{plain}" if self.secure else plain

    def read(self, header: str | None, plain: str) -> str | None:
        """Return a cookie's value from a Cookie header, if it is there."""
        wanted = self.name(plain)
        return next((value for name, value in _pairs(header) if name == wanted), None)

    def names(self, header: str | None, prefix: str) -> list[str]:
        """Return the full names that begin with a plain prefix."""
        return [name for name, _ in _pairs(header) if name.startswith(self.name(prefix))]

    def set(self, response: falcon.Response, plain: str, value: str, lifetime: timedelta) -> None:
        """Set a cookie that no script can read, and that other sites' pages do not send with their changes."""
        response.set_cookie(
            self.name(plain),
            value,
            max_age=int(lifetime.total_seconds()),
            path="/",
            http_only=True,
            same_site="Lax",
            secure=self.secure,
        )

    def delete(self, response: falcon.Response, full_name: str) -> None:
        """Delete a cookie; with the attributes of `set`, without which browsers ignore a `__Host-` name."""
        past = datetime.fromtimestamp(0, UTC)  # Falcon omits a max_age of 0
        response.set_cookie(full_name, "", expires=past, path="/", http_only=True, same_site="Lax", secure=self.secure)


def _pairs(header: str | None) -> list[tuple[str, str]]:
    pairs = (pair.strip().partition("=") for pair in (header or "").split(";"))
    return [(name, value.strip('"')) for name, _, value in pairs]
