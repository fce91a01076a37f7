"""Google's login: scopes joined by spaces, PKCE in base64, a refresh token only on consent and only once."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.shelf import Record
from platforms.mock.world import Answered, World, form, send_back

REFRESH_LIFE_S = 15_552_000


def add_routes(app: falcon.App[Any, Any], world: World) -> None:  # Any: falcon's own request and response types
    """Add the login's paths."""
    app.add_route(f"{roots.GOOGLE_AUTH}/o/oauth2/v2/auth", Authorize(world))
    app.add_route(f"{roots.GOOGLE_TOKEN}/token", Token(world))
    app.add_route(f"{roots.GOOGLE_TOKEN}/revoke", Revoke(world))


class Authorize:
    """The consent page, which always consents."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send the person back with a code."""
        target = req.get_param("redirect_uri", required=True)
        challenge = req.get_param("code_challenge") or ""
        well_formed = re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge) and req.get_param("code_challenge_method") == "S256"
        if not req.get_param("client_id") or (challenge and not well_formed):
            raise Answered(400, {"error": "invalid_request"})
        scopes = (req.get_param("scope") or "").split(" ")
        if req.get_param("access_type") == "offline" and req.get_param("prompt") == "consent":
            scopes.append("offline")
        code = self._world.issue_code("google", req, req.get_param("client_id") or "", scopes)
        send_back(resp, target, code=code, state=req.get_param("state") or "")


class Token:
    """The token endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a code with a pair, a refresh token with an access token."""
        told = form(req)
        if not told.get("client_id") or told.get("client_secret") in {None, "", "wrong"}:
            raise Answered(401, {"error": "invalid_client"})
        by_code = told.get("grant_type") == "authorization_code"
        grant = self._by_code(told) if by_code else self._by_refresh(told)
        user, scopes, client = grant["user"], [s for s in grant["scopes"] if s != "offline"], told["client_id"]
        life_s = self._world.rules.access_s
        resp.media = {
            "access_token": self._world.issue_token("google", "access", user, scopes, life_s, client),
            "expires_in": int(life_s),
            "scope": " ".join(reversed(scopes)),  # Google keeps no order
            "token_type": "Bearer",
        }
        if by_code and "offline" in grant["scopes"]:
            refresh = self._world.issue_token("google", "refresh", user, scopes, REFRESH_LIFE_S, client)
            resp.media["refresh_token"] = refresh

    def _by_code(self, told: Mapping[str, str]) -> Record:
        redirect_uri = told.get("redirect_uri", "")
        grant = self._world.redeem_code("google", told.get("code", ""), told["client_id"], redirect_uri)
        digest = base64.urlsafe_b64encode(hashlib.sha256(told.get("code_verifier", "").encode()).digest())
        if grant is None or (grant["challenge"] and grant["challenge"] != digest.rstrip(b"=").decode()):
            raise Answered(400, {"error": "invalid_grant"})
        return grant

    def _by_refresh(self, told: Mapping[str, str]) -> Record:
        grant = self._world.token("google", "refresh", told.get("refresh_token", ""))
        if grant is None or grant["client"] != told["client_id"]:
            raise Answered(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        return grant


class Revoke:
    """The end of a permission."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Kill the token."""
        if not self._world.kill_token(form(req).get("token", "")):
            raise Answered(400, {"error": "invalid_token"})
        resp.media = {}
