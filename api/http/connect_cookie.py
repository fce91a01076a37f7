"""A login at a platform that was begun: a cookie of the browser that began it, bound to the OAuth state.

The state alone is worth nothing. Somebody who begins a login and sends its address to another person, or who takes a
state from a log, lacks the cookie. Nothing is stored on the server before the state comes back with its cookie.

A program with an API key has no cookies to give away, and the page may be open at another address than PUBLIC_URL, to
which the platform returns. For both, the login begins with a ticket, an address of our own that sets the cookie in the
browser that opens it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import falcon

from api.http import cookies
from api.http.cookies import Cookies
from store import Sealer
from store.owners import DEFAULT_OWNER
from store.sealing import WrongKey

LIFETIME = timedelta(minutes=10)
"""Time from the beginning of a login until the platform sends the browser back."""

MAX_PENDING = 8
"""Logins of one browser; the cookies of more would fill the headers of its requests."""

MAX_DELETED = 2 * MAX_PENDING
"""Cookies that one response deletes."""

_STATE = re.compile(r"[A-Za-z0-9_-]{43}")
_NAME_CHARS = 12  # of the state, in the cookie's name


@dataclass(frozen=True, kw_only=True)
class PendingLogin:
    """A login that was begun.

    Attributes:
        state: OAuth's; random, used once.
        owner_id: whose account it will be.
        verifier: the PKCE secret; None where the login uses none, or has only a ticket.
    """

    state: str = field(repr=False)
    owner_id: str
    platform: str
    variant: str
    expires_at: datetime
    verifier: str | None = field(default=None, repr=False)


def begin(owner_id: str, platform: str, variant: str, now: datetime) -> PendingLogin:
    """Return a new login."""
    state = secrets.token_urlsafe(32)
    return PendingLogin(state=state, owner_id=owner_id, platform=platform, variant=variant, expires_at=now + LIFETIME)


def create_ticket(sealer: Sealer, login: PendingLogin, root_url: str) -> str:
    """Return the address that begins a login in the browser that opens it."""
    query = urlencode({"ticket": _seal(sealer, login, "connect_ticket")})
    return f"{root_url}/connect/{login.platform}/begin?{query}"


def read_ticket(sealer: Sealer, ticket: str, platform: str, now: datetime) -> PendingLogin | None:
    """Return the login of a ticket; None if it is not one of this platform, or expired."""
    return _open(sealer, ticket, "connect_ticket", platform, now)


def set_cookie(
    jar: Cookies, sealer: Sealer, request: falcon.Request, response: falcon.Response, login: PendingLogin
) -> None:
    """Bind a login to the browser."""
    # Names that were not made here could be illegal in a response, and hundreds of them would fill its head.
    known = re.compile(re.escape(jar.name(cookies.CONNECT)) + rf"[A-Za-z0-9_-]{{{_NAME_CHARS}}}")
    found = jar.names(request.get_header("Cookie"), cookies.CONNECT)
    pending = list(dict.fromkeys(name for name in found if known.fullmatch(name)))
    for name in pending[:MAX_DELETED] if len(pending) >= MAX_PENDING else ():
        jar.delete(response, name)
    jar.set(response, _name(login.state), _seal(sealer, login, "connect"), LIFETIME)


def read_cookie(
    jar: Cookies, sealer: Sealer, header: str | None, state: str, platform: str, now: datetime
) -> PendingLogin | None:
    """Return the login to which a state belongs, if this browser has begun it at this platform, and in time."""
    if not _STATE.fullmatch(state):
        return None
    sealed = jar.read(header, _name(state))
    login = None if sealed is None else _open(sealer, sealed, "connect", platform, now)
    return login if login is not None and hmac.compare_digest(login.state, state) else None


def delete_cookie(jar: Cookies, response: falcon.Response, login: PendingLogin) -> None:
    """Delete the cookie of a login that has come back."""
    jar.delete(response, jar.name(_name(login.state)))


def _name(state: str) -> str:
    return cookies.CONNECT + state[:_NAME_CHARS]


def _seal(sealer: Sealer, login: PendingLogin, use: str) -> str:
    claims = {
        "use": use,
        "state": login.state,
        "owner": login.owner_id,
        "platform": login.platform,
        "variant": login.variant,
        "verifier": login.verifier,
        "until": login.expires_at.timestamp(),
    }
    return sealer.seal(claims).decode()


def _open(sealer: Sealer, sealed: str, use: str, platform: str, now: datetime) -> PendingLogin | None:
    try:
        claims = sealer.open(sealed.encode())
    except (WrongKey, UnicodeEncodeError):
        return None
    if not isinstance(claims, dict) or claims.get("use") != use:
        return None
    if claims["platform"] != platform or claims["until"] <= now.timestamp():
        return None
    return PendingLogin(
        state=claims["state"],
        owner_id=claims.get("owner", DEFAULT_OWNER),  # begun before an update
        platform=claims["platform"],
        variant=claims["variant"],
        verifier=claims["verifier"],
        expires_at=datetime.fromtimestamp(claims["until"], UTC),
    )
