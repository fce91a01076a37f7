"""Who may come in: an API key in the header, or the session that a key was exchanged for."""

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
SESSION_LASTS = timedelta(days=30)


class Keys:
    """The keys of this machine and the sessions made from them.

    A session is a sealed value that only this machine can have made; it names its key's hash, so that taking a key
    away ends its sessions too. Nothing about it is stored.
    """

    def __init__(self, keys: Sequence[str], *, sealer: Sealer, now: Callable[[], datetime]) -> None:
        self._keys = [key.encode() for key in keys]
        self._sealer = sealer
        self._now = now

    def holds(self, key: str) -> bool:
        """Say whether this is one of the keys; it takes the same time for every wrong one."""
        given = key.encode("utf-8", "surrogateescape")
        return sum(hmac.compare_digest(given, known) for known in self._keys) > 0  # looks at every key

    def open_session(self, key: str) -> str:
        """Return a session for a key."""
        until = self._now() + SESSION_LASTS
        sealed = self._sealer.seal({"use": "session", "key": _mark(key.encode()), "until": until.timestamp()})
        return sealed.decode()

    def identity_of_session(self, session: str) -> str | None:
        """Return the identity of a session's key; None for an invalid session."""
        try:
            found = self._sealer.open(session.encode())
        except (WrongKey, UnicodeEncodeError):
            return None
        if not isinstance(found, dict) or found.get("use") != "session":
            return None
        good = found["until"] > self._now().timestamp() and found["key"] in {_mark(key) for key in self._keys}
        return str(found["key"]) if good else None

    def admit(self, authorization: str | None, session: str | None, fetch_site: str | None, method: str) -> str:
        """Let a request in or raise.

        Args:
            authorization: the header, if there is one; it counts before the session.
            session: the cookie's value, if there is one.
            fetch_site: Sec-Fetch-Site; a browser says there when another site's page caused the request.
            method: of the request.

        Returns:
            The caller's identity: the same for a key and for every session made from it.

        Raises:
            Problem: 401, or 403 for a change that another site's page tries by the session of its visitor.
        """
        if authorization is not None:
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() == "bearer" and self.holds(key.strip()):
                return _mark(key.strip().encode("utf-8", "surrogateescape"))
        elif session is not None and (identity := self.identity_of_session(session)) is not None:
            if method not in {"GET", "HEAD", "OPTIONS"} and fetch_site in {"cross-site", "same-site"}:
                raise Problem(403, "foreign_page", "the page of another site may not do this")
            return identity
        raise Problem(
            401,
            "key_needed",
            "send an API key as `Authorization: Bearer KEY`, or sign in on the page",
            headers={"WWW-Authenticate": 'Bearer realm="VidProd"'},
        )


class Gate:
    """Falcon middleware: every resource wants a key unless its class says `public = True`."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def process_resource(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        params: dict[str, Any],  # Any: Falcon's signature
    ) -> None:
        """Check the key before a resource is asked."""
        del response, params
        if not getattr(resource, "public", False):
            session = session_in(request.get_header("Cookie"))
            request.context.identity = self._keys.admit(
                request.get_header("Authorization"),
                session,
                request.get_header("Sec-Fetch-Site"),
                request.method,
            )


def session_in(cookies: str | None) -> str | None:
    """Return the session in a Cookie header, or None."""
    for pair in (cookies or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value.strip('"')
    return None


def _mark(key: bytes) -> str:
    return sha256(b"session:" + key).hexdigest()[:16]
