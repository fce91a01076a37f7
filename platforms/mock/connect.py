"""Walks through a login against the mock as a person's browser would, so that development needs no browser."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urlsplit

from platforms import registry
from platforms.http import client as wire
from platforms.http.hosts import Hosts
from platforms.oauth.contract import Client, Connection

REDIRECT_URI = "http://127.0.0.1:8000/connect/mock/callback"
CLIENT = Client("mock-client", "mock-secret")


def connect(
    variant: str,
    hosts: Hosts,
    *,
    client: Client = CLIENT,
    redirect_uri: str = REDIRECT_URI,
    tiktok_mode: str = "inbox",
    user: int = 1,
) -> Connection:
    """Connect one of the mock's accounts.

    Args:
        variant: "tiktok", "instagram_login", "facebook_login" or "google".
        user: 1, 2, …: different people with different accounts.

    Raises:
        RuntimeError: the mock did not consent; PlatformError as in `Flow.exchange`.
    """
    flow = registry.flow(variant, hosts, tiktok_mode=tiktok_mode)
    state = secrets.token_urlsafe(16)
    asked = flow.authorize_url(client, redirect_uri, state)
    reply = wire.request("GET", f"{asked.url}&mock_user={user}")
    told = parse_qs(urlsplit(reply.headers.get("Location", "")).query)
    if reply.status != 302 or told.get("state") != [state]:
        raise RuntimeError(f"the mock answered {reply.status} to the login of {variant}")
    return flow.exchange(client, redirect_uri, told["code"][0], asked.verifier)
