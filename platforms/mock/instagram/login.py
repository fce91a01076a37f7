"""Meta's two logins: Instagram Login and Facebook Login for Business."""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

from typing import Any

import falcon

from platforms.mock import roots
from platforms.mock.instagram import app as instagram
from platforms.mock.state import MockErrorResponse, MockState, bearer, form, redirect_back

FACEBOOK_AUTH = roots.path("facebook_auth_url")
FACEBOOK_GRAPH = roots.path("facebook_graph_url")
INSTAGRAM_AUTH = roots.path("instagram_auth_url")
INSTAGRAM_GRAPH = roots.path("instagram_graph_url")
INSTAGRAM_TOKEN = roots.path("instagram_token_url")

SHORT_S = 3_600.0
LONG_S = 5_183_944.0
NEVER_S = 10 * 365 * 86_400.0
MIN_AGE_S = 86_400.0  # Instagram refreshes only older tokens


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of both logins."""
    app.add_route(f"{INSTAGRAM_AUTH}/oauth/authorize", Authorize(state))
    app.add_route(f"{FACEBOOK_AUTH}/{{version}}/dialog/oauth", Authorize(state))
    app.add_route(f"{INSTAGRAM_TOKEN}/oauth/access_token", ShortToken(state))
    app.add_route(f"{INSTAGRAM_GRAPH}/access_token", LongToken(state))
    app.add_route(f"{INSTAGRAM_GRAPH}/refresh_access_token", Refresh(state))
    app.add_route(f"{INSTAGRAM_GRAPH}/{{version}}/me", Me(state))
    app.add_route(f"{FACEBOOK_GRAPH}/{{version}}/oauth/access_token", FacebookToken(state))
    app.add_route(f"{FACEBOOK_GRAPH}/{{version}}/me/accounts", Pages(state))


def _check_client(client: str | None, secret: str | None) -> str:
    if not client or secret in {None, "", "wrong"}:
        raise MockErrorResponse(400, {"error_type": "OAuthException", "code": 400, "error_message": "Invalid client"})
    return client


class Authorize:
    """The consent page; it always consents."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str = "") -> None:
        """Redirect back with a code."""
        target = req.get_param("redirect_uri", required=True)
        if not req.get_param("client_id") or req.get_param("response_type") != "code":
            raise MockErrorResponse(400, {"error": "invalid_request"})
        scopes = (req.get_param("scope") or "").replace(",", " ").split()
        code = self._state.issue_code("instagram", req, req.get_param("client_id") or "", scopes)
        redirect_back(resp, target, code=code, state=req.get_param("state") or "")
        if not version:
            resp.set_header("Location", f"{resp.get_header('Location')}#_")


class ShortToken:
    """Instagram's first token, valid for an hour; inside a list, as documented."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a code."""
        fields = form(req)
        client = _check_client(fields.get("client_id"), fields.get("client_secret"))
        code = fields.get("code", "")
        grant = self._state.redeem_code("instagram", code, client, fields.get("redirect_uri", ""))
        if grant is None or fields.get("grant_type") != "authorization_code":
            body = {
                "error_type": "OAuthException",
                "code": 400,
                "error_message": "This authorization code has been used",
            }
            raise MockErrorResponse(400, body)
        token = self._state.issue_token("instagram", "short", grant["user"], grant["scopes"], SHORT_S, client)
        permissions = ",".join(grant["scopes"])
        user_id = instagram.ig_id(grant["user"])
        resp.media = {"data": [{"access_token": token, "user_id": user_id, "permissions": permissions}]}


class LongToken:
    """Instagram's token for 60 days."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a short-lived token."""
        short = self._state.token("instagram", "short", req.get_param("access_token") or "")
        secret = req.get_param("client_secret")
        if short is None or secret in {None, "wrong"} or req.get_param("grant_type") != "ig_exchange_token":
            raise instagram.refuse(400, 190)
        issue = self._state.issue_token
        token = issue("instagram", "access", short["user"], short["scopes"], LONG_S, short["client"])
        resp.media = {"access_token": token, "token_type": "bearer", "expires_in": int(LONG_S)}


class Refresh:
    """The refresh of a token for another 60 days."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a token that is a day old and still valid."""
        old = self._state.token("instagram", "access", req.get_param("access_token") or "")
        if old is None or req.get_param("grant_type") != "ig_refresh_token":
            raise instagram.refuse(400, 190, 463)
        if self._state.clock() - old["issued_at"] < MIN_AGE_S:
            raise instagram.refuse(400, 190)
        issue = self._state.issue_token
        token = issue("instagram", "access", old["user"], old["scopes"], LONG_S, old["client"])
        resp.media = {"access_token": token, "token_type": "bearer", "expires_in": int(LONG_S)}


class Me:
    """The account of a token."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str) -> None:
        """Return id and user name."""
        user = instagram.user_of(self._state, bearer(req.auth) or req.get_param("access_token") or "")
        account = {"user_id": instagram.ig_id(user), "username": instagram.username(user), "account_type": "BUSINESS"}
        resp.media = {**account, "id": f"app-scoped-{user}"}


class FacebookToken:
    """Facebook's user tokens, short and long."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str) -> None:
        """Exchange a code for a token of one hour, or that for one of 60 days."""
        secret = req.get_param("client_secret")
        client = req.get_param("client_id") or ""
        if not client or secret in {None, "wrong"}:
            raise instagram.refuse(400, 101)
        if req.get_param("grant_type") == "fb_exchange_token":
            grant = self._state.token("instagram", "fb-short", req.get_param("fb_exchange_token") or "")
            kind, life_s = "fb-long", LONG_S
        else:
            redirect_uri = req.get_param("redirect_uri") or ""
            grant = self._state.redeem_code("instagram", req.get_param("code") or "", client, redirect_uri)
            kind, life_s = "fb-short", SHORT_S
        if grant is None:
            raise instagram.refuse(400, 100, 36009)
        token = self._state.issue_token("instagram", kind, grant["user"], grant["scopes"], life_s, client)
        resp.media = {"access_token": token, "token_type": "bearer", "expires_in": int(life_s)}


class Pages:
    """The pages of a user: one with an Instagram account, one without."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str) -> None:
        """Return them with tokens that do not expire."""
        grant = self._state.token("instagram", "fb-long", bearer(req.auth))
        if grant is None:
            raise instagram.refuse(401, 190, 463)
        user = grant["user"]
        token = self._state.issue_token("instagram", "access", user, grant["scopes"], NEVER_S, grant["client"])
        linked = {"id": instagram.ig_id(user), "username": instagram.username(user)}
        page = {"id": f"1000{user}", "name": f"Mock Page {user}", "access_token": token, "tasks": ["CREATE_CONTENT"]}
        bare = {"id": f"2000{user}", "name": "Page without Instagram", "access_token": "none", "tasks": ["ANALYZE"]}
        resp.media = {"data": [bare, {**page, "instagram_business_account": linked}]}
