"""Meta's two logins: Instagram Login and Facebook Login for Business."""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.instagram import app as instagram
from platforms.mock.world import Answered, World, bearer, form, send_back

SHORT_S = 3_600.0
LONG_S = 5_183_944.0
NEVER_S = 10 * 365 * 86_400.0
MIN_AGE_S = 86_400.0  # Instagram refreshes no token that is younger


def add_routes(app: falcon.App[Any, Any], world: World) -> None:  # Any: falcon's own request and response types
    """Add both logins' paths."""
    app.add_route(f"{roots.INSTAGRAM_AUTH}/oauth/authorize", Authorize(world))
    app.add_route(f"{roots.FACEBOOK_AUTH}/{{version}}/dialog/oauth", Authorize(world))
    app.add_route(f"{roots.INSTAGRAM_TOKEN}/oauth/access_token", ShortToken(world))
    app.add_route(f"{roots.INSTAGRAM_GRAPH}/access_token", LongToken(world))
    app.add_route(f"{roots.INSTAGRAM_GRAPH}/refresh_access_token", Refresh(world))
    app.add_route(f"{roots.INSTAGRAM_GRAPH}/{{version}}/me", Me(world))
    app.add_route(f"{roots.FACEBOOK_GRAPH}/{{version}}/oauth/access_token", FacebookToken(world))
    app.add_route(f"{roots.FACEBOOK_GRAPH}/{{version}}/me/accounts", Pages(world))


def _check_client(client: str | None, secret: str | None) -> str:
    if not client or secret in {None, "", "wrong"}:
        raise Answered(400, {"error_type": "OAuthException", "code": 400, "error_message": "Invalid client"})
    return client


class Authorize:
    """The consent page, which always consents."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str = "") -> None:
        """Send the person back with a code."""
        target = req.get_param("redirect_uri", required=True)
        if not req.get_param("client_id") or req.get_param("response_type") != "code":
            raise Answered(400, {"error": "invalid_request"})
        scopes = (req.get_param("scope") or "").replace(",", " ").split()
        code = self._world.issue_code("instagram", req, req.get_param("client_id") or "", scopes)
        send_back(resp, target, code=code, state=req.get_param("state") or "")
        if not version:
            resp.set_header("Location", f"{resp.get_header('Location')}#_")


class ShortToken:
    """Instagram's first token, for an hour; as documented, inside a list."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a code."""
        told = form(req)
        client = _check_client(told.get("client_id"), told.get("client_secret"))
        code = told.get("code", "")
        grant = self._world.redeem_code("instagram", code, client, told.get("redirect_uri", ""))
        if grant is None or told.get("grant_type") != "authorization_code":
            body = {
                "error_type": "OAuthException",
                "code": 400,
                "error_message": "This authorization code has been used",
            }
            raise Answered(400, body)
        token = self._world.issue_token("instagram", "short", grant["user"], grant["scopes"], SHORT_S, client)
        permissions = ",".join(grant["scopes"])
        user_id = instagram.ig_id(grant["user"])
        resp.media = {"data": [{"access_token": token, "user_id": user_id, "permissions": permissions}]}


class LongToken:
    """Instagram's token for 60 days."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a short one."""
        short = self._world.token("instagram", "short", req.get_param("access_token") or "")
        secret = req.get_param("client_secret")
        if short is None or secret in {None, "wrong"} or req.get_param("grant_type") != "ig_exchange_token":
            raise instagram.refuse(400, 190)
        issue = self._world.issue_token
        token = issue("instagram", "access", short["user"], short["scopes"], LONG_S, short["client"])
        resp.media = {"access_token": token, "token_type": "bearer", "expires_in": int(LONG_S)}


class Refresh:
    """Another 60 days."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a token that is a day old and still good."""
        old = self._world.token("instagram", "access", req.get_param("access_token") or "")
        if old is None or req.get_param("grant_type") != "ig_refresh_token":
            raise instagram.refuse(400, 190, 463)
        if self._world.clock() - old["issued_at"] < MIN_AGE_S:
            raise instagram.refuse(400, 190)
        issue = self._world.issue_token
        token = issue("instagram", "access", old["user"], old["scopes"], LONG_S, old["client"])
        resp.media = {"access_token": token, "token_type": "bearer", "expires_in": int(LONG_S)}


class Me:
    """Whose token it is."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str) -> None:
        """Answer id and handle."""
        user = instagram.user_of(self._world, bearer(req.auth) or req.get_param("access_token") or "")
        account = {"user_id": instagram.ig_id(user), "username": instagram.username(user), "account_type": "BUSINESS"}
        resp.media = {**account, "id": f"app-scoped-{user}"}


class FacebookToken:
    """Facebook's user tokens, short and long."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str) -> None:
        """Answer a code with an hour's token, that with one for 60 days."""
        secret = req.get_param("client_secret")
        client = req.get_param("client_id") or ""
        if not client or secret in {None, "wrong"}:
            raise instagram.refuse(400, 101)
        if req.get_param("grant_type") == "fb_exchange_token":
            grant = self._world.token("instagram", "fb-short", req.get_param("fb_exchange_token") or "")
            kind, life_s = "fb-long", LONG_S
        else:
            redirect_uri = req.get_param("redirect_uri") or ""
            grant = self._world.redeem_code("instagram", req.get_param("code") or "", client, redirect_uri)
            kind, life_s = "fb-short", SHORT_S
        if grant is None:
            raise instagram.refuse(400, 100, 36009)
        token = self._world.issue_token("instagram", kind, grant["user"], grant["scopes"], life_s, client)
        resp.media = {"access_token": token, "token_type": "bearer", "expires_in": int(life_s)}


class Pages:
    """The person's pages: one with an Instagram account, one without."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str) -> None:
        """Answer them with tokens that do not expire."""
        grant = self._world.token("instagram", "fb-long", bearer(req.auth))
        if grant is None:
            raise instagram.refuse(401, 190, 463)
        user = grant["user"]
        token = self._world.issue_token("instagram", "access", user, grant["scopes"], NEVER_S, grant["client"])
        linked = {"id": instagram.ig_id(user), "username": instagram.username(user)}
        page = {"id": f"1000{user}", "name": f"Mock Page {user}", "access_token": token, "tasks": ["CREATE_CONTENT"]}
        bare = {"id": f"2000{user}", "name": "Page without Instagram", "access_token": "none", "tasks": ["ANALYZE"]}
        resp.media = {"data": [bare, {**page, "instagram_business_account": linked}]}
