"""Google's login: scopes joined by spaces, PKCE in base64, a refresh token only on consent and only once."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.state import MockErrorResponse, MockState, form, redirect_back
from platforms.mock.storage import Record

GOOGLE_AUTH = roots.path("google_auth_url")
GOOGLE_TOKEN = roots.path("google_token_url")

REFRESH_LIFE_S = 15_552_000


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of Google's login."""
    app.add_route(f"{GOOGLE_AUTH}/o/oauth2/v2/auth", Authorize(state))
    app.add_route(f"{GOOGLE_TOKEN}/token", Token(state))
    app.add_route(f"{GOOGLE_TOKEN}/revoke", Revoke(state))


class Authorize:
    """The consent page; it always consents."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Redirect back with a code."""
        target = req.get_param("redirect_uri", required=True)
        challenge = req.get_param("code_challenge") or ""
        well_formed = re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge) and req.get_param("code_challenge_method") == "S256"
        if not req.get_param("client_id") or (challenge and not well_formed):
            raise MockErrorResponse(400, {"error": "invalid_request"})
        scopes = (req.get_param("scope") or "").split(" ")
        if req.get_param("access_type") == "offline" and req.get_param("prompt") == "consent":
            scopes.append("offline")
        code = self._state.issue_code("google", req, req.get_param("client_id") or "", scopes)
        redirect_back(resp, target, code=code, state=req.get_param("state") or "")


class Token:
    """The token endpoint."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a code for a pair of tokens, or a refresh token for an access token."""
        fields = form(req)
        if not fields.get("client_id") or fields.get("client_secret") in {None, "", "wrong"}:
            raise MockErrorResponse(401, {"error": "invalid_client"})
        by_code = fields.get("grant_type") == "authorization_code"
        grant = self._by_code(fields) if by_code else self._by_refresh(fields)
        user, scopes, client = grant["user"], [s for s in grant["scopes"] if s != "offline"], fields["client_id"]
        life_s = self._state.options.access_s
        resp.media = {
            "access_token": self._state.issue_token("google", "access", user, scopes, life_s, client),
            "expires_in": int(life_s),
            "scope": " ".join(reversed(scopes)),  # Google returns them in any order
            "token_type": "Bearer",
        }
        if by_code and "offline" in grant["scopes"]:
            refresh = self._state.issue_token("google", "refresh", user, scopes, REFRESH_LIFE_S, client)
            resp.media["refresh_token"] = refresh

    def _by_code(self, fields: Mapping[str, str]) -> Record:
        redirect_uri = fields.get("redirect_uri", "")
        grant = self._state.redeem_code("google", fields.get("code", ""), fields["client_id"], redirect_uri)
        digest = base64.urlsafe_b64encode(hashlib.sha256(fields.get("code_verifier", "").encode()).digest())
        if grant is None or (grant["challenge"] and grant["challenge"] != digest.rstrip(b"=").decode()):
            raise MockErrorResponse(400, {"error": "invalid_grant"})
        return grant

    def _by_refresh(self, fields: Mapping[str, str]) -> Record:
        grant = self._state.token("google", "refresh", fields.get("refresh_token", ""))
        if grant is None or grant["client"] != fields["client_id"]:
            raise MockErrorResponse(400, {"error": "invalid_grant", "error_description": "mock"})
        return grant


class Revoke:
    """The revocation of a token."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Revoke the token."""
        if not self._state.revoke_token(form(req).get("token", "")):
            raise MockErrorResponse(400, {"error": "invalid_token"})
        resp.media = {}
