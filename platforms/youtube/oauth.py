"""Google's login, through `requests-oauthlib`: Google follows the RFCs that the library implements.

PKCE is base64, scopes are joined by spaces, errors are those of RFC 6749. Sources:
developers.google.com/identity/protocols/oauth2/web-server (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import requests
from oauthlib.oauth2 import MissingTokenError, OAuth2Error, WebApplicationClient
from pydantic import BaseModel, Field, ValidationError
from requests_oauthlib import OAuth2Session

from platforms import error_table, oauth
from platforms.errors import PlatformError, Reconnect
from platforms.http.adapter import LimitedAdapter, apply_limits
from platforms.http.hosts import Roots
from platforms.oauth import AuthorizationRequest, ClientCredentials, LoginResult, Tokens, refresh_moment
from platforms.youtube import api
from platforms.youtube.hosts import GoogleHosts

# youtube.upload cannot read: the channel's name, a video's state and the search after a lost session need the other.
SCOPES = (
    "https://www.googleapis.com/auth/youtube.upload",
    "https://www.googleapis.com/auth/youtube.readonly",
)
_TOKEN_URL = f"{GoogleHosts.google_token_url}/token"


class _GoogleGrant(BaseModel):
    access_token: str = Field(min_length=1)
    expires_in: int
    refresh_token: str | None = None
    scope: str | list[str] = ""


class _ChannelSnippet(BaseModel):
    title: str = ""


class _OwnChannel(BaseModel):
    id: str
    snippet: _ChannelSnippet = Field(default_factory=_ChannelSnippet)


class _OwnChannels(BaseModel):
    items: list[_OwnChannel] = Field(default_factory=list)


class GoogleFlow:
    """See `platforms.oauth.OAuthFlow`."""

    variant = "google"

    def __init__(self, roots: Roots, *, clock: Callable[[], datetime] = oauth.utc_now) -> None:
        self._hosts = GoogleHosts.at(roots)
        self._clock = clock

    def authorize_url(self, client: ClientCredentials, redirect_uri: str, state: str) -> AuthorizationRequest:
        """Return the address to send the owner to. Without `prompt=consent` a second login has no refresh token."""
        rules = WebApplicationClient(client.id)
        verifier = rules.create_code_verifier(64)
        session = OAuth2Session(client=rules, redirect_uri=redirect_uri, scope=list(SCOPES), state=state)
        # The library requires https, so it gets the real root; the configured one replaces it afterwards.
        url, _ = session.authorization_url(
            f"{GoogleHosts.google_auth_url}/o/oauth2/v2/auth",
            access_type="offline",
            prompt="consent",
            include_granted_scopes="true",
            code_challenge=rules.create_code_challenge(verifier, "S256"),
            code_challenge_method="S256",
        )
        rerouted = self._hosts.google_auth_url + url.removeprefix(GoogleHosts.google_auth_url)
        return AuthorizationRequest(rerouted, verifier)

    def exchange(self, client: ClientCredentials, redirect_uri: str, code: str, verifier: str | None) -> LoginResult:
        """Exchange the code for tokens and read the channel."""
        # No scope here: the library raises a warning as an exception when the granted ones differ.
        session = OAuth2Session(client.id, redirect_uri=redirect_uri)
        grant = self._fetch(
            session,
            lambda: session.fetch_token(
                _TOKEN_URL, code=code, client_secret=client.secret, code_verifier=verifier, include_client_id=True
            ),
        )
        tokens = self._tokens(grant, grant.refresh_token)
        oauth.check_scope(tokens.scope, SCOPES)
        if tokens.refresh_token is None:
            raise Reconnect("no_refresh_token", "Google sent no refresh token; connect the account again")
        return self._channel_of(tokens)

    def refresh(self, client: ClientCredentials, tokens: Tokens) -> Tokens:
        """Return a fresh access token; Google's refresh token stays valid."""
        session = OAuth2Session(client.id)
        grant = self._fetch(
            session,
            lambda: session.refresh_token(
                _TOKEN_URL, tokens.refresh_token, client_id=client.id, client_secret=client.secret
            ),
            refreshing=True,
        )
        return self._tokens(grant, grant.refresh_token or tokens.refresh_token)

    def revoke(self, client: ClientCredentials, tokens: Tokens) -> None:
        """Withdraw the permission, for the whole project and this person."""
        del client
        form = {"token": tokens.refresh_token or tokens.access_token}
        response = oauth.call("POST", f"{self._hosts.google_token_url}/revoke", form=form)
        if response.status >= 300:
            raise oauth.refusal(response)

    def _fetch(
        self,
        session: OAuth2Session,
        fetch: Callable[[], Mapping[str, Any]],  # Any: the library's own values
        *,
        refreshing: bool = False,
    ) -> _GoogleGrant:
        adapter = LimitedAdapter(reroute=(GoogleHosts.google_token_url, self._hosts.google_token_url))
        try:
            with apply_limits(session, adapter):
                return _GoogleGrant.model_validate(dict(fetch()))
        except OAuth2Error as error:
            # `from None`: the cause may quote the response. MissingTokenError: neither a token nor an OAuth error.
            known = isinstance(error.error, str) and not isinstance(error, MissingTokenError)
            raise _refused(adapter, error.error if known else None, refreshing=refreshing) from None
        except (requests.RequestException, OSError) as error:
            # Repeating is safe: a refresh changes nothing at Google, and a used code is refused as such.
            raise error_table.no_response(adapter.transport_error(error), acts=False) from None
        except (ValidationError, ValueError):
            raise _refused(adapter, None, refreshing=refreshing) from None

    def _tokens(self, grant: _GoogleGrant, refresh_token: str | None) -> Tokens:
        now = self._clock()
        scope = grant.scope if isinstance(grant.scope, str) else " ".join(grant.scope)
        expires_at = now + timedelta(seconds=grant.expires_in)
        return Tokens(grant.access_token, refresh_token, expires_at, None, scope, refresh_moment(now, grant.expires_in))

    def _channel_of(self, tokens: Tokens) -> LoginResult:
        url = f"{self._hosts.youtube_api_url}/youtube/v3/channels"
        response = oauth.call("GET", url, params={"part": "snippet", "mine": "true"}, token=tokens.access_token)
        refused = partial(api.refusal, now=self._clock().timestamp())
        channels = oauth.parse(response, _OwnChannels, refused=refused).items
        if not channels:
            raise Reconnect("no_channel", "This Google account has no YouTube channel")
        return LoginResult(tokens, channels[0].id, channels[0].snippet.title, self.variant)


def _refused(adapter: LimitedAdapter, code: str | None, *, refreshing: bool) -> PlatformError:
    return oauth.refused(code, status=adapter.status, refreshing=refreshing, retry_after_s=adapter.retry_after_s)
