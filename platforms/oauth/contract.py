"""The one contract of all logins: send the person away, take the code that comes back, keep the tokens alive.

Where tokens are kept, and the lock around a refresh (TikTok kills the old refresh token with each one), is the
caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True)
class Client:
    """Our registration with a platform: id (TikTok says "client key") and secret."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class AuthorizeRequest:
    """Where to send the person, and what to remember until they come back.

    Attributes:
        verifier: the PKCE secret to hand to `exchange`; None where the flow has none.
    """

    url: str = field(repr=False)
    verifier: str | None = field(repr=False)


@dataclass(frozen=True)
class Tokens:
    """What lets us act for an account. All times are UTC.

    Attributes:
        refresh_token: None where the access token refreshes itself (Instagram) or never expires (Facebook pages).
        expires_at: None: does not expire.
        refresh_expires_at: after it only the person can help; None: not told.
        scope: space-separated, as granted, which may be less than asked for.
        refresh_at: the best moment for the next refresh; None: there is nothing to refresh.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    scope: str = ""
    refresh_at: datetime | None = None


@dataclass(frozen=True)
class Connection:
    """A connected account.

    Attributes:
        others: further accounts of the same person that the same consent covers (several Facebook pages).
    """

    tokens: Tokens
    remote_id: str
    name: str
    variant: str
    others: tuple[Connection, ...] = ()


class Flow(Protocol):
    """One login."""

    @property
    def variant(self) -> str:
        """Say which: "tiktok", "instagram_login", "facebook_login" or "google"."""

    def authorize_url(self, client: Client, redirect_uri: str, state: str) -> AuthorizeRequest:
        """Return where to send the person; without network.

        Args:
            state: ours, unguessable, checked when they come back.
        """

    def exchange(self, client: Client, redirect_uri: str, code: str, verifier: str | None) -> Connection:
        """Turn the code that came back into tokens and ask whose they are. A code works once.

        Raises:
            Reconnect: the code is void, a needed permission was unticked, or there is no account to publish with.
            TryLater: the platform could not be reached; the code may still be good.
        """

    def refresh(self, client: Client, tokens: Tokens) -> Tokens:
        """Return fresh tokens. Store them before using them: the old ones may be dead.

        Raises:
            Reconnect: only the person can help.
            TryLater, Unclear: the same call again later.
        """

    def revoke(self, client: Client, tokens: Tokens) -> None:
        """Tell the platform that we are done, as far as it can be told.

        Raises:
            PlatformError: it could not be told; forget the tokens all the same.
        """


def refresh_moment(now: datetime, expires_in_s: float) -> datetime:
    """Return when to refresh: half an hour before the end, or at three quarters of a shorter life."""
    return now + timedelta(seconds=expires_in_s - min(1_800.0, expires_in_s / 4))
