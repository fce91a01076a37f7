"""Facebook Login for Business: a code for a user token, that for a long one, and from it the tokens of the pages.

A page's token drawn from a long-lived user token does not expire; it dies with the permission, the password or the
person's role. Sources: developers.facebook.com, Facebook Login, manually built flow; Instagram content publishing (read
2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode

from pydantic import BaseModel, Field

from platforms.errors import Reconnect
from platforms.http.hosts import Hosts
from platforms.instagram.api import GRAPH_VERSION
from platforms.oauth import grants
from platforms.oauth.contract import AuthorizeRequest, Client, Connection, Tokens

SCOPES = ("instagram_basic", "instagram_content_publish", "pages_read_engagement", "pages_show_list")


class _Grant(BaseModel):
    access_token: str = Field(min_length=1)


class _Linked(BaseModel):
    id: str
    username: str = ""


class _Page(BaseModel):
    id: str
    name: str = ""
    access_token: str = ""
    tasks: list[str] = Field(default_factory=list)
    instagram_business_account: _Linked | None = None


class _Pages(BaseModel):
    data: list[_Page] = Field(default_factory=list)


class FacebookFlow:
    """See `platforms.oauth.contract.Flow`."""

    variant = "facebook_login"

    def __init__(
        self, hosts: Hosts, *, version: str = GRAPH_VERSION, clock: Callable[[], datetime] = grants.utc_now
    ) -> None:
        self._auth = f"{hosts.facebook_auth_url}/{version}"
        self._graph = f"{hosts.facebook_graph_url}/{version}"
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
        return AuthorizeRequest(f"{self._auth}/dialog/oauth?{urlencode(query)}", None)

    def exchange(self, client: Client, redirect_uri: str, code: str, verifier: str | None) -> Connection:
        """Turn the code into page tokens; the first page with an Instagram account leads, the rest are `others`."""
        del verifier
        ours = {"client_id": client.id, "client_secret": client.secret}
        short = self._grant({**ours, "redirect_uri": redirect_uri, "code": code}, acts=True)
        long = self._grant({**ours, "grant_type": "fb_exchange_token", "fb_exchange_token": short})
        fields = "id,name,access_token,tasks,instagram_business_account{id,username}"
        headers = {"Authorization": f"Bearer {long}"}
        reply = grants.ask("GET", f"{self._graph}/me/accounts", params={"fields": fields}, headers=headers)
        linked = [found for page in grants.read(reply, _Pages).data if (found := self._linked(page))]
        if not linked:
            raise Reconnect("no_account", "no page of this person has an Instagram account that we may publish on")
        first = linked[0]
        return Connection(first.tokens, first.remote_id, first.name, self.variant, tuple(linked[1:]))

    def refresh(self, client: Client, tokens: Tokens) -> Tokens:
        """Raise: a page's token does not expire, and a dead one only the person can replace."""
        del client, tokens
        raise Reconnect("token_dead", "Facebook no longer takes the page's token; connect the account again")

    def revoke(self, client: Client, tokens: Tokens) -> None:
        """Do nothing: a page's token may not withdraw the person's permission; they do so in Facebook's settings."""

    def _grant(self, query: dict[str, str], *, acts: bool = False) -> str:
        reply = grants.ask("GET", f"{self._graph}/oauth/access_token", params=query, acts=acts)
        return grants.read(reply, _Grant).access_token

    def _linked(self, page: _Page) -> Connection | None:
        account = page.instagram_business_account
        if account is None or not page.access_token or "CREATE_CONTENT" not in page.tasks:
            return None
        name = f"@{account.username}" if account.username else page.name
        return Connection(Tokens(page.access_token, scope=" ".join(SCOPES)), account.id, name, self.variant)
