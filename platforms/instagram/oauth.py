"""Instagram Login: a code for a token of one hour, that for a token of 60 days, which refreshes itself.

Sources: developers.facebook.com, Instagram API with Instagram Login, business login (read 2026-11-22). There is no
refresh token and no documented way to revoke; after 60 days without a refresh the owner must connect again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from pydantic import BaseModel, Field, model_validator

from platforms import oauth
from platforms.errors import Reconnect
from platforms.http.hosts import Roots
from platforms.instagram.api import GRAPH_VERSION
from platforms.instagram.hosts import MetaHosts
from platforms.instagram.login_errors import login_refusal
from platforms.oauth import AuthorizationRequest, ClientCredentials, LoginResult, Tokens

SCOPES = ("instagram_business_basic", "instagram_business_content_publish")
REFRESH_EVERY = timedelta(days=7)  # allowed once the token is a day old; weekly leaves seven more tries


class _ShortLived(BaseModel):
    """The documented shape is a list under "data"; live responses are often flat."""

    access_token: str = Field(min_length=1)
    permissions: str | list[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, body: object) -> object:
        match body:
            case {"data": [first, *_]}:
                return first
        return body


class _LongLived(BaseModel):
    access_token: str = Field(min_length=1)
    expires_in: int


class _Profile(BaseModel):
    user_id: str = Field(coerce_numbers_to_str=True)
    username: str = ""
    account_type: str = ""


class InstagramFlow:
    """See `platforms.oauth.OAuthFlow`."""

    variant = "instagram_login"

    def __init__(
        self, roots: Roots, *, version: str = GRAPH_VERSION, clock: Callable[[], datetime] = oauth.utc_now
    ) -> None:
        self._hosts = MetaHosts.at(roots)
        self._version = version
        self._clock = clock

    def authorize_url(self, client: ClientCredentials, redirect_uri: str, state: str) -> AuthorizationRequest:
        """Return the address to send the owner to."""
        endpoint = f"{self._hosts.instagram_auth_url}/oauth/authorize"
        return AuthorizationRequest(
            oauth.authorization_address(endpoint, client, redirect_uri, state, SCOPES), verifier=None
        )

    def exchange(self, client: ClientCredentials, redirect_uri: str, code: str, verifier: str | None) -> LoginResult:
        """Exchange the code for a token of 60 days and read its account."""
        del verifier
        form = {
            "client_id": client.id,
            "client_secret": client.secret,
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri,
            "code": code.removesuffix("#_"),  # Instagram appends it to the redirect; it is not part of the code
        }
        response = oauth.call("POST", f"{self._hosts.instagram_token_url}/oauth/access_token", form=form, acts=True)
        short = oauth.parse(response, _ShortLived, refused=login_refusal)
        granted = " ".join(short.permissions.split(",") if isinstance(short.permissions, str) else short.permissions)
        oauth.check_scope(granted, SCOPES)
        query = {
            "grant_type": "ig_exchange_token",
            "client_secret": client.secret,
            "access_token": short.access_token,
        }
        return self._account_of(self._long_lived("/access_token", query, granted, refreshing=False))

    def refresh(self, client: ClientCredentials, tokens: Tokens) -> Tokens:
        """Return the token for another 60 days."""
        del client
        query = {"grant_type": "ig_refresh_token", "access_token": tokens.access_token}
        return self._long_lived("/refresh_access_token", query, tokens.scope, refreshing=True)

    def revoke(self, client: ClientCredentials, tokens: Tokens) -> None:
        """Do nothing: Instagram documents no call for it; the owner removes the app in Instagram's settings."""

    def _long_lived(self, path: str, query: dict[str, str], scope: str, *, refreshing: bool) -> Tokens:
        # A repeated request returns another valid token, so a lost response is not unclear.
        response = oauth.call("GET", f"{self._hosts.instagram_graph_url}{path}", params=query)
        grant = oauth.parse(response, _LongLived, refused=partial(login_refusal, refreshing=refreshing))
        now = self._clock()
        life = timedelta(seconds=grant.expires_in)
        return Tokens(grant.access_token, None, now + life, now + life, scope, now + min(REFRESH_EVERY, life / 2))

    def _account_of(self, tokens: Tokens) -> LoginResult:
        url = f"{self._hosts.instagram_graph_url}/{self._version}/me"
        response = oauth.call("GET", url, params={"fields": "user_id,username,account_type"}, token=tokens.access_token)
        profile = oauth.parse(response, _Profile, refused=login_refusal)
        if profile.account_type == "PERSONAL":
            raise Reconnect(
                "account_personal",
                "Instagram lets only business and creator accounts publish; switch the account type in the Instagram "
                "app and connect again",
            )
        return LoginResult(tokens, profile.user_id, f"@{profile.username}", self.variant)
