"""TikTok's login. Its ways: "client_key" for client_id, scopes joined by commas, PKCE challenges in hexadecimal.

Sources: developers.tiktok.com, Login Kit overview (2026-08-19), desktop; get and refresh a user access token
(2026-11-02). Lifetimes are whatever the answer says: they changed from a day to two hours in November 2026.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, Field

from platforms.errors import Reconnect
from platforms.http.hosts import Hosts
from platforms.oauth import grants
from platforms.oauth.contract import AuthorizeRequest, Client, Connection, Tokens, refresh_moment

SCOPES = {
    "inbox": ("user.info.basic", "video.upload"),
    "direct": ("user.info.basic", "video.publish", "video.list"),
}


class _Grant(BaseModel):
    open_id: str
    scope: str
    access_token: str = Field(min_length=1)
    expires_in: int
    refresh_token: str = Field(min_length=1)
    refresh_expires_in: int


class _User(BaseModel):
    display_name: str = ""


class _UserData(BaseModel):
    user: _User = Field(default_factory=_User)


class _UserAnswer(BaseModel):
    data: _UserData = Field(default_factory=_UserData)


class TikTokFlow:
    """See `platforms.oauth.contract.Flow`."""

    variant = "tiktok"

    def __init__(self, hosts: Hosts, *, mode: str = "inbox", clock: Callable[[], datetime] = grants.utc_now) -> None:
        self._hosts = hosts
        self._scopes = SCOPES[mode]
        self._clock = clock

    def authorize_url(self, client: Client, redirect_uri: str, state: str) -> AuthorizeRequest:
        """Return where to send the person."""
        query = {
            "client_key": client.id,
            "response_type": "code",
            "scope": ",".join(self._scopes),
            "redirect_uri": redirect_uri,
            "state": state,
        }
        verifier = None
        # Documented for desktop apps, whose redirects are loopback addresses, and required there.
        if urlsplit(redirect_uri).hostname in {"localhost", "127.0.0.1"}:
            verifier = secrets.token_urlsafe(48)
            query["code_challenge"] = hashlib.sha256(verifier.encode()).hexdigest()
            query["code_challenge_method"] = "S256"
        return AuthorizeRequest(f"{self._hosts.tiktok_auth_url}/v2/auth/authorize/?{urlencode(query)}", verifier)

    def exchange(self, client: Client, redirect_uri: str, code: str, verifier: str | None) -> Connection:
        """Turn the code into tokens and ask for the account's name."""
        form = {
            "client_key": client.id,
            "client_secret": client.secret,
            "code": code,
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri,
        }
        grant = self._grant(form if verifier is None else {**form, "code_verifier": verifier})
        tokens = self._tokens(grant)
        grants.check_scope(tokens.scope, self._scopes)
        return Connection(tokens, grant.open_id, self._name(tokens) or grant.open_id, self.variant)

    def refresh(self, client: Client, tokens: Tokens) -> Tokens:
        """Return fresh tokens; the refresh token handed in is dead from then on."""
        if tokens.refresh_token is None:
            raise Reconnect("grant_dead", "there is no refresh token")
        form = {
            "client_key": client.id,
            "client_secret": client.secret,
            "grant_type": "refresh_token",
            "refresh_token": tokens.refresh_token,
        }
        return self._tokens(self._grant(form))

    def revoke(self, client: Client, tokens: Tokens) -> None:
        """Withdraw the permission."""
        form = {"client_key": client.id, "client_secret": client.secret, "token": tokens.access_token}
        reply = grants.ask("POST", f"{self._hosts.tiktok_api_url}/v2/oauth/revoke/", form=form)
        if reply.status >= 300 or b'"error"' in reply.body:
            raise grants.refused(reply)

    def _grant(self, form: dict[str, str]) -> _Grant:
        reply = grants.ask("POST", f"{self._hosts.tiktok_api_url}/v2/oauth/token/", form=form, acts=True)
        return grants.read(reply, _Grant)

    def _tokens(self, grant: _Grant) -> Tokens:
        now = self._clock()
        return Tokens(
            grant.access_token,
            grant.refresh_token,
            now + timedelta(seconds=grant.expires_in),
            now + timedelta(seconds=grant.refresh_expires_in),
            grant.scope.replace(",", " "),
            refresh_moment(now, grant.expires_in),
        )

    def _name(self, tokens: Tokens) -> str:
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        url = f"{self._hosts.tiktok_api_url}/v2/user/info/"
        reply = grants.ask("GET", url, params={"fields": "open_id,display_name"}, headers=headers)
        return grants.read(reply, _UserAnswer).data.user.display_name
