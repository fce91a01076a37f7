"""A login at the mock without a browser, for tests and development."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urlsplit

from platforms import registry
from platforms.definition import PublishingOptions
from platforms.http import client as http_client
from platforms.http.hosts import Roots
from platforms.oauth import ClientCredentials, LoginResult

REDIRECT_URI = "http://127.0.0.1:8000/connect/mock/callback"
CLIENT = ClientCredentials("mock-client", "mock-secret")


def connect(
    variant: str,
    roots: Roots,
    *,
    client: ClientCredentials = CLIENT,
    redirect_uri: str = REDIRECT_URI,
    options: PublishingOptions | None = None,
    user: int = 1,
) -> LoginResult:
    """Connect one of the mock's accounts.

    Args:
        variant: of the login.
        user: 1, 2, …: different users with different accounts.

    Raises:
        RuntimeError: the mock did not consent; PlatformError as in `OAuthFlow.exchange`.
    """
    flow = registry.flow(variant, roots, options)
    state = secrets.token_urlsafe(16)
    request = flow.authorize_url(client, redirect_uri, state)
    response = http_client.request("GET", f"{request.url}&mock_user={user}")
    query = parse_qs(urlsplit(response.headers.get("Location", "")).query)
    if response.status != 302 or query.get("state") != [state]:
        raise RuntimeError(f"the mock answered the login of {variant} with HTTP {response.status}")
    return flow.exchange(client, redirect_uri, query["code"][0], request.verifier)
