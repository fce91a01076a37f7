"""Authentication: API keys in the Authorization header, and sessions in a cookie."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import falcon

from api.http.problems import Problem
from store import Sealer
from store.sealing import WrongKey

COOKIE = "vidprod_session"
SESSION_LIFETIME = timedelta(days=30)


class ApiKeys:
    """The API keys of this machine, and sessions created from them.

    A session is a sealed value that only this machine can create. It contains the hash of its key, so that removing
    a key ends its sessions, too. Sessions are not stored.
    """

    def __init__(self, keys: Sequence[str], *, sealer: Sealer, now: Callable[[], datetime]) -> None:
        self._keys = [key.encode() for key in keys]
        self._sealer = sealer
        self._now = now

    def is_valid(self, key: str) -> bool:
        """Return whether this is one of the keys, in constant time for wrong ones."""
        given = key.encode("utf-8", "surrogateescape")
        return sum(hmac.compare_digest(given, known) for known in self._keys) > 0  # compares with every key

    def create_session(self, key: str) -> str:
        """Return a new session for a key."""
        until = self._now() + SESSION_LIFETIME
        sealed = self._sealer.seal({"use": "session", "key": _identity(key.encode()), "until": until.timestamp()})
        return sealed.decode()

    def session_identity(self, session: str) -> str | None:
        """Return the identity of a session's key; None for an invalid session."""
        try:
            claims = self._sealer.open(session.encode())
        except (WrongKey, UnicodeEncodeError):
            return None
        if not isinstance(claims, dict) or claims.get("use") != "session":
            return None
        valid = claims["until"] > self._now().timestamp() and claims["key"] in {_identity(key) for key in self._keys}
        return str(claims["key"]) if valid else None

    def authenticate(self, authorization: str | None, session: str | None, fetch_site: str | None, method: str) -> str:
        """Authenticate a request.

        Args:
            authorization: the header, if it was sent; it takes precedence over the session.
            session: the cookie's value, if it was sent.
            fetch_site: the header Sec-Fetch-Site, in which browsers say whether another site's page sent the request.
            method: of the request.

        Returns:
            The client's identity: the same for a key and for every session created from it.

        Raises:
            Problem: 401, or 403 for a change by another site's page with the session of its visitor.
        """
        if authorization is not None:
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() == "bearer" and self.is_valid(key.strip()):
                return _identity(key.strip().encode("utf-8", "surrogateescape"))
        elif session is not None and (identity := self.session_identity(session)) is not None:
            if method not in {"GET", "HEAD", "OPTIONS"} and fetch_site in {"cross-site", "same-site"}:
                raise Problem(403, "foreign_page", "pages of other sites cannot make changes here")
            return identity
        raise Problem(
            401,
            "key_needed",
            "an API key is required: send `Authorization: Bearer KEY`, or sign in on the web page",
            headers={"WWW-Authenticate": 'Bearer realm="VidProd"'},
        )


class AuthMiddleware:
    """Falcon middleware that authenticates requests for all resources but those with `public = True`."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    def process_resource(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        params: dict[str, Any],  # Any: Falcon's signature
    ) -> None:
        """Authenticate the request before its resource is called."""
        del response, params
        if not getattr(resource, "public", False):
            session = session_cookie(request.get_header("Cookie"))
            request.context.identity = self._keys.authenticate(
                request.get_header("Authorization"),
                session,
                request.get_header("Sec-Fetch-Site"),
                request.method,
            )


def session_cookie(cookies: str | None) -> str | None:
    """Return the session in a Cookie header, if there is one."""
    for pair in (cookies or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value.strip('"')
    return None


def _identity(key: bytes) -> str:
    return sha256(b"session:" + key).hexdigest()[:16]
