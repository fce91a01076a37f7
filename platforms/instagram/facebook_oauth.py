"""Facebook Login for Business: a code for a user token, that for a long-lived one, and from it the pages' tokens.

A page's token derived from a long-lived user token does not expire; it becomes invalid with the permission, the
password or the person's role. Sources: developers.facebook.com, Facebook Login, manually built flow; Instagram content
publishing (read 2026-11-22).
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from platforms import oauth
from platforms.errors import Reconnect
from platforms.http.hosts import Roots
from platforms.instagram.api import GRAPH_VERSION
from platforms.instagram.hosts import MetaHosts
from platforms.instagram.login_errors import login_refusal
from platforms.oauth import AuthorizationRequest, ClientCredentials, LoginResult, Tokens

SCOPES = ("instagram_basic", "instagram_content_publish", "pages_read_engagement", "pages_show_list")


class _FacebookGrant(BaseModel):
    access_token: str = Field(min_length=1)


class _LinkedAccount(BaseModel):
    id: str
    username: str = ""


class _Page(BaseModel):
    id: str
    name: str = ""
    access_token: str = ""
    tasks: list[str] = Field(default_factory=list)
    instagram_business_account: _LinkedAccount | None = None


class _Pages(BaseModel):
    data: list[_Page] = Field(default_factory=list)


class FacebookFlow:
    """See `platforms.oauth.OAuthFlow`."""

    variant = "facebook_login"

    def __init__(self, roots: Roots, *, version: str = GRAPH_VERSION) -> None:
        hosts = MetaHosts.at(roots)
        self._auth = f"{hosts.facebook_auth_url}/{version}"
        self._graph = f"{hosts.facebook_graph_url}/{version}"

    def authorize_url(self, client: ClientCredentials, redirect_uri: str, state: str) -> AuthorizationRequest:
        """Return the address to send the owner to."""
        endpoint = f"{self._auth}/dialog/oauth"
        return AuthorizationRequest(
            oauth.authorization_address(endpoint, client, redirect_uri, state, SCOPES), verifier=None
        )

    def exchange(self, client: ClientCredentials, redirect_uri: str, code: str, verifier: str | None) -> LoginResult:
        """Exchange the code for page tokens; the first page with an Instagram account comes first, then `others`."""
        del verifier
        credentials = {"client_id": client.id, "client_secret": client.secret}
        short = self._grant({**credentials, "redirect_uri": redirect_uri, "code": code}, acts=True)
        long = self._grant({**credentials, "grant_type": "fb_exchange_token", "fb_exchange_token": short})
        fields = "id,name,access_token,tasks,instagram_business_account{id,username}"
        response = oauth.call("GET", f"{self._graph}/me/accounts", params={"fields": fields}, token=long)
        linked = [
            found
            for page in oauth.parse(response, _Pages, refused=login_refusal).data
            if (found := self._account_of(page))
        ]
        if not linked:
            raise Reconnect(
                "no_account", "None of your Facebook pages is linked to an Instagram account that may be published to"
            )
        first = linked[0]
        return LoginResult(first.tokens, first.remote_id, first.name, self.variant, tuple(linked[1:]))

    def refresh(self, client: ClientCredentials, tokens: Tokens) -> Tokens:
        """Raise Reconnect: a page's token does not expire, and only its owner can replace an invalid one."""
        del client, tokens
        raise Reconnect("token_dead", "Facebook no longer accepts the page's token; connect the account again")

    def revoke(self, client: ClientCredentials, tokens: Tokens) -> None:
        """Do nothing: a page's token may not withdraw the permission; the owner does so in Facebook's settings."""

    def _grant(self, query: dict[str, str], *, acts: bool = False) -> str:
        response = oauth.call("GET", f"{self._graph}/oauth/access_token", params=query, acts=acts)
        return oauth.parse(response, _FacebookGrant, refused=login_refusal).access_token

    def _account_of(self, page: _Page) -> LoginResult | None:
        account = page.instagram_business_account
        if account is None or not page.access_token or "CREATE_CONTENT" not in page.tasks:
            return None
        name = f"@{account.username}" if account.username else page.name
        return LoginResult(Tokens(page.access_token, scope=" ".join(SCOPES)), account.id, name, self.variant)
