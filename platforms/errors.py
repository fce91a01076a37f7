"""Errors of calls to other people's servers, classed by what the caller does next.

    PlatformError
    ├── TryLater         nothing irreversible happened: run the same step again after retry_after_s
    │   └── RateLimited  the same, and make no other call for this account or this whole app until then
    ├── Unclear          the request may have been carried out: run the same step again with interrupted=True
    ├── Reconnect        the token is invalid (refreshable: try one refresh first, then the same step)
    ├── Rejected         the platform will never accept this post
    ├── AccountRefused   the platform refuses this account; pause it until a person has checked it
    └── OutcomeUnknown   no question can settle whether the post exists; only a person can

No error carries a token, a signed address or a request body: errors appear in logs and in front of users.
"""

from __future__ import annotations

from typing import Literal, TypedDict, Unpack

Scope = Literal["account", "app"]


class Origin(TypedDict, total=False):
    """The platform's own facts about an error, as keyword arguments.

    Attributes:
        platform_code: the platform's code, e.g. "spam_risk_text" or "9007/2207027"; None when there is none.
        log_id: the id that the platform's support asks for (TikTok log_id, Meta fbtrace_id); None when there is none.
    """

    platform_code: str | None
    log_id: str | None


class PlatformError(Exception):
    """Base class of all errors of this package.

    Attributes:
        code: our own stable code in snake_case; programs match on it.
        detail: one sentence for a person, without a full stop.
        platform_code: see `Origin`.
        log_id: see `Origin`.
    """

    def __init__(self, code: str, detail: str, **origin: Unpack[Origin]) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.platform_code = origin.get("platform_code")
        self.log_id = origin.get("log_id")

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.detail}"]
        if self.platform_code:
            parts.append(f"platform code {self.platform_code}")
        if self.log_id:
            parts.append(f"log id {self.log_id}")
        return "; ".join(parts)


class TryLater(PlatformError):
    """Nothing irreversible happened: run the same step again after `retry_after_s`."""

    def __init__(self, code: str, detail: str, *, retry_after_s: float, **origin: Unpack[Origin]) -> None:
        super().__init__(code, detail, **origin)
        self.retry_after_s = retry_after_s


class RateLimited(TryLater):
    """A limit was reached: run the same step after `retry_after_s`, and make no other call before.

    Attributes:
        scope: "account": only this account waits; "app": every account of this app or project waits.
    """

    def __init__(self, code: str, detail: str, *, retry_after_s: float, scope: Scope, **origin: Unpack[Origin]) -> None:
        super().__init__(code, detail, retry_after_s=retry_after_s, **origin)
        self.scope: Scope = scope


class Unclear(PlatformError):
    """The request may have been carried out: run the step after `retry_after_s` with interrupted=True."""

    def __init__(self, code: str, detail: str, *, retry_after_s: float, **origin: Unpack[Origin]) -> None:
        super().__init__(code, detail, **origin)
        self.retry_after_s = retry_after_s


class Reconnect(PlatformError):
    """The access token is invalid.

    Attributes:
        refreshable: True: the token has expired; refresh it once and run the same step again. If the refresh fails,
            or when False, the owner has to connect the account again.
    """

    def __init__(self, code: str, detail: str, *, refreshable: bool = False, **origin: Unpack[Origin]) -> None:
        super().__init__(code, detail, **origin)
        self.refreshable = refreshable


class Rejected(PlatformError):
    """The platform will never accept this post as it is. Nothing was published; that is certain."""


class AccountRefused(PlatformError):
    """The platform refuses this account (banned, restricted, blocked). Nothing was published; that is certain."""


class OutcomeUnknown(PlatformError):
    """No question can settle whether the post exists. Never repeat it; show it to a person."""
