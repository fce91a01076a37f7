"""TikTok's login: scopes joined by commas, PKCE in hexadecimal, refresh tokens that work once."""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.shelf import Record, new_id
from platforms.mock.tiktok.app import open_id, succeed, user_of
from platforms.mock.world import Answered, World, form, send_back

REFRESH_LIFE_S = 15_552_000  # 180 days


def add_routes(app: falcon.App[Any, Any], world: World) -> None:  # Any: falcon's own request and response types
    """Add the login's paths."""
    app.add_route(f"{roots.TIKTOK_AUTH}/v2/auth/authorize/", Authorize(world))
    app.add_route(f"{roots.TIKTOK_API}/v2/oauth/token/", Token(world))
    app.add_route(f"{roots.TIKTOK_API}/v2/oauth/revoke/", Revoke(world))
    app.add_route(f"{roots.TIKTOK_API}/v2/user/info/", UserInfo(world))


class Authorize:
    """The consent page, which always consents."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Send the person back with a code."""
        target = req.get_param("redirect_uri", required=True)
        if not req.get_param("client_key") or req.get_param("response_type") != "code" or not req.get_param("scope"):
            raise Answered(400, {"error": "invalid_request"})
        loopback = re.match(r"https?://(localhost|127\.0\.0\.1)[:/]", target) is not None
        challenge = req.get_param("code_challenge")
        if loopback and not re.fullmatch(r"[0-9a-f]{64}", challenge or ""):
            raise Answered(400, {"error": "Code verifier or code challenge is invalid"})
        scopes = (req.get_param("scope") or "").split(",")
        code = self._world.issue_code("tiktok", req, req.get_param("client_key") or "", scopes)
        send_back(resp, target, code=code, state=req.get_param("state") or "", scopes=",".join(scopes))


class Token:
    """The token endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a code or a refresh token with a new pair."""
        told = form(req)
        if not told.get("client_key") or told.get("client_secret") in {None, "", "wrong"}:
            raise self._refuse("invalid_client")
        grant = self._by_code(told) if told.get("grant_type") == "authorization_code" else self._by_refresh(told)
        user, scopes = grant["user"], grant["scopes"]
        ours = self._world
        resp.media = {
            "open_id": open_id(user),
            "scope": ",".join(scopes),
            "access_token": ours.issue_token("tiktok", "access", user, scopes, ours.rules.access_s, told["client_key"]),
            "expires_in": int(ours.rules.access_s),
            "refresh_token": ours.issue_token("tiktok", "refresh", user, scopes, REFRESH_LIFE_S, told["client_key"]),
            "refresh_expires_in": REFRESH_LIFE_S,
            "token_type": "Bearer",
        }

    def _by_code(self, told: Mapping[str, str]) -> Record:
        redirect_uri = told.get("redirect_uri", "")
        grant = self._world.redeem_code("tiktok", told.get("code", ""), told["client_key"], redirect_uri)
        if grant is None:
            raise self._refuse("invalid_grant")
        digest = hashlib.sha256(told.get("code_verifier", "").encode()).hexdigest()
        if grant["challenge"] and grant["challenge"] != digest:
            raise self._refuse("invalid_request")
        return grant

    def _by_refresh(self, told: Mapping[str, str]) -> Record:
        grant = self._world.token("tiktok", "refresh", told.get("refresh_token", ""))
        if grant is None or grant["client"] != told["client_key"] or told.get("grant_type") != "refresh_token":
            raise self._refuse("invalid_grant")
        self._world.kill_token(told["refresh_token"])  # rotation: the old one is dead at once
        return grant

    def _refuse(self, error: str) -> Answered:
        return Answered(400, {"error": error, "error_description": "mock", "log_id": new_id("log")})


class Revoke:
    """The end of a permission."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Kill the token; TikTok answers with an empty body."""
        if not self._world.kill_token(form(req).get("token", "")):
            raise Answered(400, {"error": "invalid_request", "error_description": "mock"})


class UserInfo:
    """Who a token speaks for."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer id and name."""
        user = user_of(self._world, req, "user.info.basic")
        succeed(resp, {"user": {"open_id": open_id(user), "display_name": f"Mock Creator {user}"}})
