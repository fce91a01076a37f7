"""TikTok's login: "client_key" instead of client_id, scopes joined by commas, PKCE challenges in hexadecimal.

Sources: developers.tiktok.com, Login Kit overview (2026-08-19), desktop; get and refresh a user access token
(2026-11-02). Token lifetimes are read from the response: they changed from a day to two hours in November 2026.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from platforms import oauth
from platforms.errors import PlatformError, Reconnect
from platforms.http.hosts import Roots
from platforms.oauth import AuthorizationRequest, ClientCredentials, LoginResult, Tokens, refresh_moment
from platforms.tiktok.hosts import TikTokHosts

SCOPES = {
    "inbox": ("user.info.basic", "video.upload"),
    "direct": ("user.info.basic", "video.publish", "video.list"),
}


class _TikTokGrant(BaseModel):
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


class _UserInfo(BaseModel):
    data: _UserData = Field(default_factory=_UserData)


class TikTokFlow:
    """See `platforms.oauth.OAuthFlow`."""

    variant = "tiktok"

    def __init__(self, roots: Roots, *, mode: str = "inbox", clock: Callable[[], datetime] = oauth.utc_now) -> None:
        self._hosts = TikTokHosts.at(roots)
        self._scopes = SCOPES[mode]
        self._clock = clock

    def authorize_url(self, client: ClientCredentials, redirect_uri: str, state: str) -> AuthorizationRequest:
        """Return the address to send the owner to."""
        verifier: str | None = None
        challenge: dict[str, str] = {}
        # PKCE is documented for desktop apps only, whose redirects are loopback addresses, and required there.
        if urlsplit(redirect_uri).hostname in {"localhost", "127.0.0.1"}:
            verifier = secrets.token_urlsafe(48)
            challenge = {
                "code_challenge": hashlib.sha256(verifier.encode()).hexdigest(),
                "code_challenge_method": "S256",
            }
        url = oauth.authorization_address(
            f"{self._hosts.tiktok_auth_url}/v2/auth/authorize/",
            client,
            redirect_uri,
            state,
            self._scopes,
            id_parameter="client_key",
            **challenge,
        )
        return AuthorizationRequest(url, verifier)

    def exchange(self, client: ClientCredentials, redirect_uri: str, code: str, verifier: str | None) -> LoginResult:
        """Exchange the code for tokens and read the account's name."""
        form = {
            **_credentials(client),
            "code": code,
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri,
        }
        grant = self._grant(form if verifier is None else {**form, "code_verifier": verifier})
        tokens = self._tokens(grant)
        oauth.check_scope(tokens.scope, self._scopes)
        return LoginResult(tokens, grant.open_id, self._name(tokens) or grant.open_id, self.variant)

    def refresh(self, client: ClientCredentials, tokens: Tokens) -> Tokens:
        """Return fresh tokens; the given refresh token is invalid from then on."""
        if tokens.refresh_token is None:
            raise Reconnect("grant_dead", "There is no refresh token")
        form = {**_credentials(client), "grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        return self._tokens(self._grant(form, refreshing=True))

    def revoke(self, client: ClientCredentials, tokens: Tokens) -> None:
        """Withdraw the permission."""
        form = {**_credentials(client), "token": tokens.access_token}
        response = oauth.call("POST", f"{self._hosts.tiktok_api_url}/v2/oauth/revoke/", form=form)
        if response.status >= 300 or b'"error"' in response.body:
            raise oauth.refusal(response)

    def _grant(self, form: dict[str, str], *, refreshing: bool = False) -> _TikTokGrant:
        response = oauth.call("POST", f"{self._hosts.tiktok_api_url}/v2/oauth/token/", form=form, acts=True)
        return oauth.parse(response, _TikTokGrant, refused=partial(oauth.refusal, refreshing=refreshing))

    def _tokens(self, grant: _TikTokGrant) -> Tokens:
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
        """Return the account's name; empty when it cannot be read, since that must not cost the login its code."""
        url = f"{self._hosts.tiktok_api_url}/v2/user/info/"
        try:
            response = oauth.call("GET", url, params={"fields": "open_id,display_name"}, token=tokens.access_token)
            return oauth.parse(response, _UserInfo).data.user.display_name
        except PlatformError:
            return ""


def _credentials(client: ClientCredentials) -> dict[str, str]:
    return {"client_key": client.id, "client_secret": client.secret}
