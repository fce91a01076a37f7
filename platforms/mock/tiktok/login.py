"""TikTok's login: scopes joined by commas, PKCE in hexadecimal, refresh tokens that work once."""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.state import MockErrorResponse, MockState, form, redirect_back
from platforms.mock.storage import Record, new_id
from platforms.mock.tiktok.app import open_id, succeed, user_of

TIKTOK_API = roots.path("tiktok_api_url")
TIKTOK_AUTH = roots.path("tiktok_auth_url")

REFRESH_LIFE_S = 15_552_000  # 180 days


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of TikTok's login."""
    app.add_route(f"{TIKTOK_AUTH}/v2/auth/authorize/", Authorize(state))
    app.add_route(f"{TIKTOK_API}/v2/oauth/token/", Token(state))
    app.add_route(f"{TIKTOK_API}/v2/oauth/revoke/", Revoke(state))
    app.add_route(f"{TIKTOK_API}/v2/user/info/", UserInfo(state))


class Authorize:
    """The consent page; it always consents."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Redirect back with a code."""
        target = req.get_param("redirect_uri", required=True)
        if not req.get_param("client_key") or req.get_param("response_type") != "code" or not req.get_param("scope"):
            raise MockErrorResponse(400, {"error": "invalid_request"})
        loopback = re.match(r"https?://(localhost|127\.0\.0\.1)[:/]", target) is not None
        challenge = req.get_param("code_challenge")
        if loopback and not re.fullmatch(r"[0-9a-f]{64}", challenge or ""):
            raise MockErrorResponse(400, {"error": "Code verifier or code challenge is invalid"})
        scopes = (req.get_param("scope") or "").split(",")
        code = self._state.issue_code("tiktok", req, req.get_param("client_key") or "", scopes)
        redirect_back(resp, target, code=code, state=req.get_param("state") or "", scopes=",".join(scopes))


class Token:
    """The token endpoint."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a code or a refresh token for a new pair."""
        fields = form(req)
        if not fields.get("client_key") or fields.get("client_secret") in {None, "", "wrong"}:
            raise self._refuse("invalid_client")
        grant = self._by_code(fields) if fields.get("grant_type") == "authorization_code" else self._by_refresh(fields)
        user, scopes = grant["user"], grant["scopes"]
        issue, life_s = self._state.issue_token, self._state.options.access_s
        resp.media = {
            "open_id": open_id(user),
            "scope": ",".join(scopes),
            "access_token": issue("tiktok", "access", user, scopes, life_s, fields["client_key"]),
            "expires_in": int(life_s),
            "refresh_token": issue("tiktok", "refresh", user, scopes, REFRESH_LIFE_S, fields["client_key"]),
            "refresh_expires_in": REFRESH_LIFE_S,
            "token_type": "Bearer",
        }

    def _by_code(self, fields: Mapping[str, str]) -> Record:
        redirect_uri = fields.get("redirect_uri", "")
        grant = self._state.redeem_code("tiktok", fields.get("code", ""), fields["client_key"], redirect_uri)
        if grant is None:
            raise self._refuse("invalid_grant")
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).hexdigest()
        if grant["challenge"] and grant["challenge"] != digest:
            raise self._refuse("invalid_request")
        return grant

    def _by_refresh(self, fields: Mapping[str, str]) -> Record:
        grant = self._state.token("tiktok", "refresh", fields.get("refresh_token", ""))
        if grant is None or grant["client"] != fields["client_key"] or fields.get("grant_type") != "refresh_token":
            raise self._refuse("invalid_grant")
        self._state.revoke_token(fields["refresh_token"])  # rotation: the old one is invalid at once
        return grant

    def _refuse(self, error: str) -> MockErrorResponse:
        return MockErrorResponse(400, {"error": error, "error_description": "mock", "log_id": new_id("log")})


class Revoke:
    """The revocation of a token."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Revoke the token; TikTok sends an empty body."""
        if not self._state.revoke_token(form(req).get("token", "")):
            raise MockErrorResponse(400, {"error": "invalid_request", "error_description": "mock"})


class UserInfo:
    """The user of a token."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Return id and name."""
        user = user_of(self._state, req, "user.info.basic")
        succeed(resp, {"user": {"open_id": open_id(user), "display_name": f"Mock Creator {user}"}})
