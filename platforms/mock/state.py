"""The state that all mock platforms share: records, tokens, the clock; and the exception for error responses."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import falcon

from platforms.mock.storage import Record, Storage, new_id

CODE_LIFE_S = 600.0


class MockErrorResponse(Exception):
    """An error response; may be raised at any depth of a responder."""

    def __init__(self, status: int, body: object = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


@dataclass(frozen=True)
class MockOptions:
    """The behaviour of the mock where the real platforms vary.

    Attributes:
        processing_s: time until a complete video is published or processed.
        access_s: lifetime of TikTok's and Google's access tokens.
        upload_url_s: lifetime of TikTok's upload addresses.
        container_s: lifetime of Instagram's containers.
        unaudited: TikTok accepts only private posts, YouTube locks all videos as private.
        instagram_quota: posts that an Instagram account may publish in 24 hours (really 50 or 100).
        draft_done_s: time until a TikTok draft counts as posted by its owner; None: never.
    """

    processing_s: float = 0.5
    access_s: float = 7_200.0
    upload_url_s: float = 3_600.0
    container_s: float = 86_400.0
    unaudited: bool = False
    instagram_quota: int = 100_000
    draft_done_s: float | None = None


@dataclass(frozen=True)
class MockState:
    """The state of one mock server."""

    storage: Storage
    options: MockOptions
    clock: Callable[[], float] = time.time

    def issue_code(self, platform: str, req: falcon.Request, client: str, scopes: Sequence[str]) -> str:
        """Return a single-use code for the user that the request names (`mock_user`, 1 by default)."""
        code = new_id("code-")
        record = {
            "platform": platform,
            "client": client,
            "redirect_uri": req.get_param("redirect_uri") or "",
            "scopes": list(scopes),
            "user": req.get_param_as_int("mock_user") or 1,
            "challenge": req.get_param("code_challenge"),
            "expires_at": self.clock() + CODE_LIFE_S,
        }
        self.storage.put("codes", code, record)
        return code

    def redeem_code(self, platform: str, code: str, client: str, redirect_uri: str) -> Record | None:
        """Use up a code and return its record; None when it is not valid for this client and address."""
        record = self.storage.pop("codes", code)
        valid = (
            record is not None
            and record["platform"] == platform
            and record["client"] == client
            and record["redirect_uri"] == redirect_uri
            and record["expires_at"] > self.clock()
        )
        return record if valid else None

    def issue_token(
        self, platform: str, kind: str, user: int, scopes: Sequence[str], life_s: float, client: str
    ) -> str:
        """Return a new token; only its hash is stored."""
        token = new_id(f"{platform[:2]}-{kind}-")
        record = {
            "platform": platform,
            "kind": kind,
            "user": user,
            "scopes": list(scopes),
            "client": client,
            "issued_at": self.clock(),
            "expires_at": self.clock() + life_s,
        }
        self.storage.put("tokens", _key(token), record)
        return token

    def token(self, platform: str, kind: str, token: str) -> Record | None:
        """Return the record of a token; None when it is unknown, of another platform, or expired."""
        record = self.storage.get("tokens", _key(token))
        if record is None or record["platform"] != platform or record["kind"] != kind:
            return None
        return record if record["expires_at"] > self.clock() else None

    def revoke_token(self, token: str) -> bool:
        """Revoke a token; return whether it existed."""
        return self.storage.pop("tokens", _key(token)) is not None

    def expire_tokens(self, platform: str) -> int:
        """Expire all access tokens of a platform; return their number."""
        expired = 0
        for name, record in self.storage.records("tokens"):
            if record["platform"] == platform and record["kind"] == "access":
                self.storage.put("tokens", name, {**record, "expires_at": 0.0})
                expired += 1
        return expired

    def is_processed(self, upload: str) -> bool:
        """Return whether the processing time has passed since an upload's last byte."""
        return self.clock() >= self.storage.completed_at(upload) + self.options.processing_s


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def bearer(authorization: str | None, scheme: str = "Bearer") -> str:
    """Return the token of an Authorization header; empty when there is none of this scheme."""
    kind, _, token = (authorization or "").partition(" ")
    return token if kind == scheme else ""


def form(req: falcon.Request) -> dict[str, str]:
    """Return the fields of a form-encoded body."""
    media = req.get_media(default_when_empty={})
    return {str(name): str(value) for name, value in media.items()} if isinstance(media, dict) else {}


def redirect_back(resp: falcon.Response, redirect_uri: str, **query: str) -> None:
    """Redirect to the client, as a login does after consent."""
    joint = "&" if "?" in redirect_uri else "?"
    resp.status = 302
    resp.set_header("Location", redirect_uri + joint + urlencode(query))
