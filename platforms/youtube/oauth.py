"""Google's login, by `requests-oauthlib`, whose ways are Google's: base64 PKCE, scopes joined by spaces, RFC errors.

Sources: developers.google.com/identity/protocols/oauth2/web-server (read 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import requests
from oauthlib.oauth2 import MissingTokenError, OAuth2Error, WebApplicationClient
from pydantic import BaseModel, Field, ValidationError
from requests_oauthlib import OAuth2Session

from platforms import error_table
from platforms.errors import PlatformError, Reconnect
from platforms.http import client as wire
from platforms.http.hosts import Hosts
from platforms.oauth import grants
from platforms.oauth.contract import AuthorizeRequest, Client, Connection, Tokens, refresh_moment

# youtube.upload cannot read: the channel's name, a video's state and the search after a lost session need the other.
SCOPES = (
    "https://www.googleapis.com/auth/youtube.upload",
    "https://www.googleapis.com/auth/youtube.readonly",
)


class _Grant(BaseModel):
    access_token: str = Field(min_length=1)
    expires_in: int
    refresh_token: str | None = None
    scope: str | list[str] = ""


class _Snippet(BaseModel):
    title: str = ""


class _Channel(BaseModel):
    id: str
    snippet: _Snippet = Field(default_factory=_Snippet)


class _Channels(BaseModel):
    items: list[_Channel] = Field(default_factory=list)


class GoogleFlow:
    """See `platforms.oauth.contract.Flow`."""

    variant = "google"

    def __init__(self, hosts: Hosts, *, clock: Callable[[], datetime] = grants.utc_now) -> None:
        self._hosts = hosts
        self._clock = clock

    def authorize_url(self, client: Client, redirect_uri: str, state: str) -> AuthorizeRequest:
        """Return where to send the person. `prompt=consent`, or a second connect would bring no refresh token."""
        rules = WebApplicationClient(client.id)
        verifier = rules.create_code_verifier(64)
        session = OAuth2Session(client=rules, redirect_uri=redirect_uri, scope=list(SCOPES), state=state)
        # The library wants https; the configured root takes the real one's place afterwards.
        url, _ = session.authorization_url(
            f"{Hosts.google_auth_url}/o/oauth2/v2/auth",
            access_type="offline",
            prompt="consent",
            include_granted_scopes="true",
            code_challenge=rules.create_code_challenge(verifier, "S256"),
            code_challenge_method="S256",
        )
        ours = self._hosts.google_auth_url + url.removeprefix(Hosts.google_auth_url)
        return AuthorizeRequest(ours, verifier)

    def exchange(self, client: Client, redirect_uri: str, code: str, verifier: str | None) -> Connection:
        """Turn the code into tokens and ask for the channel."""
        # No scope here: the library raises a warning as an exception when the granted ones differ.
        session = OAuth2Session(client.id, redirect_uri=redirect_uri)
        grant = self._fetch(
            session,
            lambda: session.fetch_token(
                self._token_url, code=code, client_secret=client.secret, code_verifier=verifier, include_client_id=True
            ),
        )
        tokens = self._tokens(grant, grant.refresh_token)
        grants.check_scope(tokens.scope, SCOPES)
        if tokens.refresh_token is None:
            raise Reconnect("no_refresh_token", "Google gave no refresh token; connect the account again")
        return self._whose(tokens)

    def refresh(self, client: Client, tokens: Tokens) -> Tokens:
        """Return a fresh access token; Google's refresh token stays."""
        session = OAuth2Session(client.id)
        grant = self._fetch(
            session,
            lambda: session.refresh_token(
                self._token_url, tokens.refresh_token, client_id=client.id, client_secret=client.secret
            ),
        )
        return self._tokens(grant, grant.refresh_token or tokens.refresh_token)

    def revoke(self, client: Client, tokens: Tokens) -> None:
        """Withdraw the permission, of the whole project for this person."""
        del client
        form = {"token": tokens.refresh_token or tokens.access_token}
        reply = grants.ask("POST", f"{self._hosts.google_token_url}/revoke", form=form)
        if reply.status >= 300:
            raise grants.refused(reply)

    @property
    def _token_url(self) -> str:
        return f"{Hosts.google_token_url}/token"

    def _fetch(self, session: OAuth2Session, fetch: Callable[[], Mapping[str, Any]]) -> _Grant:  # Any: the library's
        adapter = wire.LimitedAdapter(reroute=(Hosts.google_token_url, self._hosts.google_token_url))
        try:
            with wire.apply_limits(session, adapter):
                return _Grant.model_validate(dict(fetch()))
        except MissingTokenError:
            raise error_table.server_failed(adapter.status, acts=False) from None  # neither a token nor an OAuth error
        except OAuth2Error as refusal:
            raise _refused(refusal) from None  # the cause may quote the answer
        except (requests.RequestException, OSError) as error:
            # Repeating is safe: a refresh changes nothing at Google, and a code that was used says so.
            raise error_table.no_response(adapter.transport_error(error), acts=False) from None
        except (ValidationError, ValueError):
            raise error_table.server_failed(adapter.status, acts=False) from None

    def _tokens(self, grant: _Grant, refresh_token: str | None) -> Tokens:
        now = self._clock()
        scope = grant.scope if isinstance(grant.scope, str) else " ".join(grant.scope)
        expires_at = now + timedelta(seconds=grant.expires_in)
        return Tokens(grant.access_token, refresh_token, expires_at, None, scope, refresh_moment(now, grant.expires_in))

    def _whose(self, tokens: Tokens) -> Connection:
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        url = f"{self._hosts.youtube_api_url}/youtube/v3/channels"
        reply = grants.ask("GET", url, params={"part": "snippet", "mine": "true"}, headers=headers)
        channels = grants.read(reply, _Channels).items
        if not channels:
            raise Reconnect("no_channel", "this Google account has no YouTube channel")
        return Connection(tokens, channels[0].id, channels[0].snippet.title, self.variant)


def _refused(refusal: OAuth2Error) -> PlatformError:
    dead = refusal.error == "invalid_grant"
    return Reconnect("grant_dead" if dead else "login_refused", "Google refuses the login", platform_code=refusal.error)
