"""Authentication: API keys in the Authorization header, and sessions in a cookie.

    Authorization ─▶ `ApiKeys.find`             API_KEYS, DATA_DIR/api.key, keys of `scripts/keys`
    Cookie        ─▶ `ApiKeys.find_by_session`  a row of the store; changes only by our own page (`api.http.origin`)

Reading needs no write lock, and nothing is written before a key is verified.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import falcon
from sqlalchemy import Connection

from api.http import cookies
from api.http.cookies import Cookies
from api.http.failed_keys import FailedKeys
from api.http.origin import PageHeaders, is_foreign, is_unknown
from api.http.problems import Problem
from api.http.rate_limit import request_client
from store import Sealer, Store, api_keys, push_subscriptions, sessions
from store.api_keys import UNSTORED_PREFIX, hash_key
from store.owners import DEFAULT_OWNER

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_AGE_S = 1.0
"""Age at which keys are read again: a revoked key is refused, at the latest, after this time."""

MAX_AGE_FOR_UNKNOWN_S = 0.1
"""The same for a key that is not among them: one that was just created is accepted nearly at once."""


@dataclass(frozen=True, kw_only=True)
class AuthHeaders:
    """The headers of a request that decide whether it is allowed."""

    authorization: str | None = field(default=None, repr=False)
    cookie: str | None = field(default=None, repr=False)
    page: PageHeaders = field(default_factory=PageHeaders)

    @classmethod
    def read(cls, get: Callable[[str], str | None]) -> Self:
        """Read them with a function that returns a header by its name."""
        page = PageHeaders(
            fetch_site=get("Sec-Fetch-Site"), origin=get("Origin"), referer=get("Referer"), host=get("Host")
        )
        return cls(authorization=get("Authorization"), cookie=get("Cookie"), page=page)


@dataclass(frozen=True, kw_only=True)
class KnownKey:
    """A valid key.

    Attributes:
        key_hash: of the key (`store.api_keys.hash_key`).
        identity: of the client; the same for the key and its sessions. It separates idempotency keys.
        key_id: by which sessions refer to the key.
        owner_id: whose key it is (`store.owners`).
    """

    key_hash: str = field(repr=False)
    identity: str
    key_id: str
    owner_id: str


class ApiKeys:
    """The API keys of this machine, and the sessions created from them."""

    def __init__(
        self,
        keys: Sequence[str],
        *,
        key_file: Path | None,
        store: Store,
        sealer: Sealer,
        now: Callable[[], datetime],
        now_s: Callable[[], float],
        root_url: str,
    ) -> None:
        """Prepare.

        Args:
            keys: those of the environment.
            key_file: contains another one while it exists; None: there is no such file.
            store: has the keys of `scripts/keys`, and the sessions.
            sealer: makes the references to keys that are not in the store.
            now: the wall clock, for the end of sessions.
            now_s: a clock in seconds that is never set.
            root_url: the public address.
        """
        self.failed = FailedKeys(now_s)
        self.cookies = Cookies(root_url)
        self._root_url = root_url
        self._key_file = key_file
        self._store = store
        self._sealer = sealer
        self._now = now
        self._given = [self._unstored(key) for key in keys]
        self._in_file = _Cached(self._read_file, now_s)
        self._stored = _Cached(self._read_store, now_s)

    def find(self, key: str) -> KnownKey | None:
        """Return the record of a key; None for a wrong one.

        The time does not tell how much of a key is right: hashes are compared, and always with all of them.

        Raises:
            DatabaseUnavailable: it is not a key of the environment, and the others cannot be read.
        """
        key_hash = hash_key(key)
        return (
            _match(self._given, key_hash)
            or _match(self._in_file.values(MAX_AGE_S), key_hash)
            or _match(self._stored.values(MAX_AGE_S), key_hash)
            or _match(self._in_file.values(MAX_AGE_FOR_UNKNOWN_S), key_hash)
            or _match(self._stored.values(MAX_AGE_FOR_UNKNOWN_S), key_hash)
        )

    def unstored_count(self, owner_id: str) -> int:
        """Return the number of an owner's keys that are not in the store."""
        if owner_id != DEFAULT_OWNER:
            return 0
        return len(self._given) + len(self._in_file.values(MAX_AGE_S))

    def create_session(self, key: KnownKey) -> str | None:
        """Store a new session; return its token, or None if the key was revoked at this moment."""
        with self._store.writing(scope="everything") as connection:
            if not is_valid(connection, key.key_id):
                return None
            return sessions.create(connection, key.key_id, self._now())

    def find_by_session(self, cookie: str | None) -> KnownKey | None:
        """Return the key of the session in a Cookie header; None without a valid one.

        Raises:
            DatabaseUnavailable: sessions cannot be read.
        """
        token = self.session_token(cookie)
        if token is None:
            return None
        with self._store.reading() as connection:
            found = sessions.get(connection, token, self._now())
        if found is None:
            return None
        if found.owner_id is not None:  # the end of a stored key ends its sessions in the same transaction
            return KnownKey(key_hash="", identity=found.key_id, key_id=found.key_id, owner_id=found.owner_id)
        unstored = (*self._given, *self._in_file.values(MAX_AGE_S))
        return next((key for key in unstored if key.key_id == found.key_id), None)

    def session_token(self, cookie: str | None) -> str | None:
        """Return the token in a Cookie header, if there is one of the right length."""
        token = self.cookies.read(cookie, cookies.SESSION)
        return token if token is not None and len(token) == sessions.TOKEN_CHARS else None

    def end_session(self, token: str) -> None:
        """End one session."""
        with self._store.writing(scope="rows") as connection:
            sessions.end(connection, token)

    def end_sessions(self, key_id: str) -> None:
        """End all sessions of a key."""
        with self._store.writing(scope="rows") as connection:
            sessions.end_all(connection, key_id)

    def end_lost_subscriptions(self) -> None:
        """Delete the browsers' subscriptions of keys that are no longer in the environment, nor in the file."""
        valid = [key.key_id for key in (*self._given, *self._in_file.values(MAX_AGE_S))]
        with self._store.writing(scope="rows") as connection:
            push_subscriptions.remove_of_other_keys(connection, UNSTORED_PREFIX, valid)

    def authenticate(self, headers: AuthHeaders, method: str, client: str) -> KnownKey:
        """Authenticate a request.

        Args:
            headers: of the request; a key takes precedence over a session.
            method: of the request.
            client: its address, as `rate_limit.client_address`; wrong keys are counted for it.

        Raises:
            Problem: 401; 429 after many wrong keys from the address; 403 for a change with a session that was not
                sent by our own page.
            DatabaseUnavailable: keys or sessions cannot be read.
        """
        self.failed.log_counts()
        if headers.authorization is not None:
            scheme, _, given = headers.authorization.partition(" ")
            known = self.find(given.strip()) if scheme.lower() == "bearer" else None
            if known is None:
                raise self.failed.refuse(client, key_needed())
            return known
        known = self.find_by_session(headers.cookie)
        if known is None:
            raise key_needed()
        if method not in SAFE_METHODS:
            self.require_own_page(headers.page)
        return known

    def refuse_foreign_page(self, page: PageHeaders) -> None:
        """Refuse a request that another site's page has sent.

        Raises:
            Problem: 403.
        """
        if is_foreign(page, self._root_url):
            detail = (
                "pages of other sites cannot make changes here; if it is your own page, set PUBLIC_URL to its address"
            )
            raise Problem(403, "foreign_page", detail)

    def require_own_page(self, page: PageHeaders) -> None:
        """Refuse a change with a session, unless our own page has sent it.

        Raises:
            Problem: 403, also if no header tells who sent it. Programs send their key instead of a session.
        """
        self.refuse_foreign_page(page)
        if is_unknown(page):
            detail = (
                "a change with a session needs the header Origin, which browsers send; programs send "
                "`Authorization: Bearer KEY` instead of a cookie"
            )
            raise Problem(403, "origin_needed", detail)

    def _read_file(self) -> list[KnownKey]:
        try:
            key = self._key_file.read_text().strip() if self._key_file is not None else ""
        except (OSError, ValueError):
            return []
        return [self._unstored(key)] if key else []

    def _read_store(self) -> list[KnownKey]:
        with self._store.reading() as connection:
            found = api_keys.list_valid(connection)
        return [KnownKey(key_hash=key.key_hash, identity=key.id, key_id=key.id, owner_id=key.owner_id) for key in found]

    def _unstored(self, key: str) -> KnownKey:
        key_id = unstored_key_id(self._sealer, key)
        return KnownKey(key_hash=hash_key(key), identity=_identity(key), key_id=key_id, owner_id=DEFAULT_OWNER)


class _Cached:
    """Keys that are read again when they are too old."""

    def __init__(self, read: Callable[[], list[KnownKey]], now_s: Callable[[], float]) -> None:
        self._read = read
        self._now_s = now_s
        self._lock = threading.Lock()
        self._known: tuple[float, list[KnownKey]] | None = None

    def values(self, max_age_s: float) -> list[KnownKey]:
        known = self._known
        if known is None or not 0 <= self._now_s() - known[0] < max_age_s:
            with self._lock:  # many wrong keys at once cause one reading
                known = self._known
                if known is None or not 0 <= self._now_s() - known[0] < max_age_s:
                    known = self._now_s(), self._read()
                    self._known = known
        return known[1]


class AuthMiddleware:
    """Falcon middleware that authenticates requests for all resources but those with `public = True`."""

    def __init__(self, keys: ApiKeys, *, behind_fly: bool) -> None:
        self._keys = keys
        self._behind_fly = behind_fly

    def process_resource(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        params: dict[str, Any],  # Any: Falcon's signature
    ) -> None:
        """Authenticate the request before its resource is called."""
        del response, params
        if not getattr(resource, "public", False) and request.method not in getattr(resource, "public_methods", ()):
            client = request_client(request, behind_fly=self._behind_fly)
            headers = AuthHeaders.read(request.get_header)
            known = self._keys.authenticate(headers, request.method, client)
            request.context.client = known
            if getattr(resource, "operator_only", False) and known.owner_id != DEFAULT_OWNER:
                raise Problem(403, "operator_only", "only the operator of this server may do that")


def owner_of(request: falcon.Request) -> str:
    """Return the owner of the key with which a request was authenticated."""
    known: KnownKey = request.context.client
    return known.owner_id


def key_needed() -> Problem:
    """Return the 401 for a request without a valid key or session."""
    return Problem(
        401,
        "key_needed",
        "a valid API key is required: send `Authorization: Bearer KEY`, or sign in on the web page",
        headers={"WWW-Authenticate": 'Bearer realm="VidProd"'},
    )


def unstored_key_id(sealer: Sealer, key: str) -> str:
    """Return the reference to a key that is not in the store; it tells nothing about the key."""
    return f"{UNSTORED_PREFIX}{sealer.keyed_hash(key)[:32]}"


def is_valid(connection: Connection, key_id: str) -> bool:
    """Return whether a key, known a moment ago, was not revoked since."""
    return _is_unstored(key_id) or api_keys.is_valid(connection, key_id)


def _is_unstored(key_id: str) -> bool:
    return key_id.startswith(UNSTORED_PREFIX)


def _match(keys: Iterable[KnownKey], key_hash: str) -> KnownKey | None:
    found = [key for key in keys if hmac.compare_digest(key.key_hash, key_hash)]  # all of them, also after a match
    return found[0] if found else None


def _identity(key: str) -> str:
    return sha256(b"session:" + key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
