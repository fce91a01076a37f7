"""What can go wrong with another people's server, named by what the caller should do next.

    PlatformError
    ├── TryLater         nothing irreversible happened: the same step again, after retry_after_s
    │   └── RateLimited  the same, and stop calling for this account or this whole app until then
    ├── Unclear          the request may have been carried out: the same step again, with interrupted=True
    ├── Reconnect        the token is dead (refreshable: try one refresh first, then the same step)
    ├── Rejected         this post will never be taken
    ├── AccountRefused   this account will not be served; pause it until a person has looked
    └── OutcomeUnknown   asking cannot settle whether the post exists; only a person can

No error carries a token, a signed address or a request body: they end up in logs and in front of users.
"""

from __future__ import annotations

from typing import Literal

Scope = Literal["account", "app"]


class PlatformError(Exception):
    """Base of all errors of this room.

    Attributes:
        code: stable, ours, snake_case; programs match on it.
        detail: one sentence for a person.
        platform_code: the platform's own code, e.g. "spam_risk_text" or "9007/2207027"; None when there is none.
        log_id: what the platform's support asks for (TikTok log_id, Meta fbtrace_id); None when there is none.
    """

    def __init__(self, code: str, detail: str, *, platform_code: str | None = None, log_id: str | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.platform_code = platform_code
        self.log_id = log_id

    def __str__(self) -> str:
        told = [f"{self.code}: {self.detail}"]
        if self.platform_code:
            told.append(f"platform code {self.platform_code}")
        if self.log_id:
            told.append(f"log id {self.log_id}")
        return "; ".join(told)


class TryLater(PlatformError):
    """Nothing irreversible happened: run the same step again after `retry_after_s`."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after_s: float,
        platform_code: str | None = None,
        log_id: str | None = None,
    ) -> None:
        super().__init__(code, detail, platform_code=platform_code, log_id=log_id)
        self.retry_after_s = retry_after_s


class RateLimited(TryLater):
    """A limit was reached; the same step again after `retry_after_s`, and no other call before.

    Attributes:
        scope: "account": only this account waits; "app": every account of this app or project waits.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after_s: float,
        scope: Scope,
        platform_code: str | None = None,
        log_id: str | None = None,
    ) -> None:
        super().__init__(code, detail, retry_after_s=retry_after_s, platform_code=platform_code, log_id=log_id)
        self.scope: Scope = scope


class Unclear(PlatformError):
    """The request may have been carried out: run the same step after `retry_after_s` with interrupted=True."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after_s: float,
        platform_code: str | None = None,
        log_id: str | None = None,
    ) -> None:
        super().__init__(code, detail, platform_code=platform_code, log_id=log_id)
        self.retry_after_s = retry_after_s


class Reconnect(PlatformError):
    """The token is dead.

    Attributes:
        refreshable: True: the access token merely expired; refresh it once and run the same step again. When that
            fails too, or when False, the person has to connect the account again.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        refreshable: bool = False,
        platform_code: str | None = None,
        log_id: str | None = None,
    ) -> None:
        super().__init__(code, detail, platform_code=platform_code, log_id=log_id)
        self.refreshable = refreshable


class Rejected(PlatformError):
    """This post will never be taken as it is. It is certain that nothing was published."""


class AccountRefused(PlatformError):
    """This account is not served (banned, restricted, blocked). It is certain that nothing was published."""


class OutcomeUnknown(PlatformError):
    """Whether the post exists cannot be found out by asking. Never repeat it; show it to a person."""
