"""Instagram Login: a code for an hour's token, that for a token of 60 days, which refreshes itself.

Sources: developers.facebook.com, Instagram API with Instagram Login, business login (read 2026-11-22). There is no
refresh token and no documented way to revoke; 60 days without a refresh mean that the person must connect again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from platforms.errors import Reconnect
from platforms.http.client import Response
from platforms.http.hosts import Hosts
from platforms.instagram.api import GRAPH_VERSION
from platforms.oauth import grants
from platforms.oauth.contract import AuthorizeRequest, Client, Connection, Tokens

SCOPES = ("instagram_business_basic", "instagram_business_content_publish")
REFRESH_EVERY = timedelta(days=7)  # allowed once the token is a day old; weekly leaves seven more tries


class _Short(BaseModel):
    access_token: str = Field(min_length=1)
    permissions: str | list[str] = ""


class _Wrapped(BaseModel):
    """The documented shape; live answers are often flat."""

    data: list[_Short] = Field(min_length=1)


class _Long(BaseModel):
    access_token: str = Field(min_length=1)
    expires_in: int


class _Me(BaseModel):
    user_id: str = Field(coerce_numbers_to_str=True)
    username: str = ""
    account_type: str = ""


class InstagramFlow:
    """See `platforms.oauth.contract.Flow`."""

    variant = "instagram_login"

    def __init__(
        self, hosts: Hosts, *, version: str = GRAPH_VERSION, clock: Callable[[], datetime] = grants.utc_now
    ) -> None:
        self._hosts = hosts
        self._version = version
        self._clock = clock

    def authorize_url(self, client: Client, redirect_uri: str, state: str) -> AuthorizeRequest:
        """Return where to send the person."""
        query = {
            "client_id": client.id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": ",".join(SCOPES),
            "state": state,
        }
        return AuthorizeRequest(f"{self._hosts.instagram_auth_url}/oauth/authorize?{urlencode(query)}", None)

    def exchange(self, client: Client, redirect_uri: str, code: str, verifier: str | None) -> Connection:
        """Turn the code into a token of 60 days and ask whose it is."""
        del verifier
        form = {
            "client_id": client.id,
            "client_secret": client.secret,
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri,
            "code": code.removesuffix("#_"),  # the redirect ends so; it is not part of the code
        }
        reply = grants.ask("POST", f"{self._hosts.instagram_token_url}/oauth/access_token", form=form, acts=True)
        short = _short(reply)
        granted = " ".join(short.permissions.split(",") if isinstance(short.permissions, str) else short.permissions)
        grants.check_scope(granted, SCOPES)
        query = {
            "grant_type": "ig_exchange_token",
            "client_secret": client.secret,
            "access_token": short.access_token,
        }
        tokens = self._long("/access_token", query, granted)
        return self._whose(tokens)

    def refresh(self, client: Client, tokens: Tokens) -> Tokens:
        """Return the token for another 60 days."""
        del client
        query = {"grant_type": "ig_refresh_token", "access_token": tokens.access_token}
        return self._long("/refresh_access_token", query, tokens.scope)

    def revoke(self, client: Client, tokens: Tokens) -> None:
        """Do nothing: Instagram documents no way; the person removes the app in Instagram's settings."""

    def _long(self, path: str, query: dict[str, str], scope: str) -> Tokens:
        # Asking again gives another token and hurts nobody, so a lost answer is not unclear.
        grant = grants.read(grants.ask("GET", f"{self._hosts.instagram_graph_url}{path}", params=query), _Long)
        now = self._clock()
        life = timedelta(seconds=grant.expires_in)
        return Tokens(grant.access_token, None, now + life, now + life, scope, now + min(REFRESH_EVERY, life / 2))

    def _whose(self, tokens: Tokens) -> Connection:
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        url = f"{self._hosts.instagram_graph_url}/{self._version}/me"
        me = grants.read(
            grants.ask("GET", url, params={"fields": "user_id,username,account_type"}, headers=headers), _Me
        )
        if me.account_type == "PERSONAL":
            raise Reconnect("account_personal", "only business and creator accounts can publish")
        return Connection(tokens, me.user_id, f"@{me.username}", self.variant)


def _short(reply: Response) -> _Short:
    try:
        return grants.read(reply, _Wrapped).data[0]
    except Reconnect:
        return grants.read(reply, _Short)
