"""The roots of remote hosts, and the check of addresses that a platform names for uploads.

A root is scheme and host, without a trailing slash; the platform's real paths are appended to it. Roots are arguments,
so that the same code can call a mock. A root given that way may have a path of its own
("http://127.0.0.1:9000/tiktok-api").
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from platforms.errors import OperatorNeeded

Roots = Mapping[str, str]
"""Roots that replace real ones, by field name of the `PlatformHosts` ("tiktok_api_url"); empty: all hosts are real."""

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")  # one line without spaces and control characters


@dataclasses.dataclass(frozen=True)
class PlatformHosts:
    """Base class of the roots of one platform.

    Each field is a root with the real one as its default. The environment variable that replaces it has the field's
    name in upper case.
    """

    @classmethod
    def at(cls, roots: Roots) -> Self:
        """Return these hosts, with real roots where none is given."""
        return cls(**{name: roots[name] for name in cls.names() if name in roots})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the roots."""
        return tuple(field.name for field in dataclasses.fields(cls))


def accept(url: str, root: str, real_hosts: re.Pattern[str]) -> str:
    """Return an address named by a platform, if it is on one of its real hosts or below the configured root.

    Raises:
        OperatorNeeded: it is anywhere else, so neither a video nor a token may go there. No post is to blame.
    """
    unambiguous = _VISIBLE_ASCII.fullmatch(url) and "\\" not in url
    if unambiguous and (_is_real(url, real_hosts) or _is_below(url, root)):
        return url
    raise OperatorNeeded(
        "foreign_address",
        "The platform named an upload address on a host that VidProd does not know as its own; update VidProd",
    )


def _is_real(url: str, real_hosts: re.Pattern[str]) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "https" and parts.username is None and parts.password is None
    return plain and port in {None, 443} and real_hosts.fullmatch((parts.hostname or "").lower()) is not None


def _is_below(url: str, root: str) -> bool:
    # Compared as text, so user info and another port cannot slip in: after the root comes a path, a query or the end.
    # Dot segments are refused, since some servers would resolve them to a path outside the root.
    rest = url[len(root) :]
    path = rest.partition("?")[0]
    has_dots = "/../" in f"{path}/" or "%2e" in path.lower()
    return url.startswith(root) and rest[:1] in {"", "/", "?"} and not has_dots
