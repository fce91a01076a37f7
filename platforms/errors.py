"""Errors of calls to other people's servers, classed by what the caller does next.

    PlatformError
    ├── TryLater            nothing irreversible happened: run the same step again after retry_after_s
    │   ├── RateLimited     the same, and make no other call for this account or this whole app until then
    │   └── OperatorNeeded  the same for the whole platform, until the operator has corrected our registration
    ├── Unclear             the request may have been carried out: run the same step again with interrupted=True
    ├── StartOver           the job at the platform ended without a post: go on with a new one, from a given handle
    ├── Reconnect           the token is invalid (refreshable: try one refresh first, then the same step)
    ├── Rejected            this request was refused, and will be refused again
    ├── PostFailed          the post certainly does not exist and will not: the platform says so, or its file is gone
    ├── AccountRefused      the platform refuses this account; pause it until a person has checked it
    └── OutcomeUnknown      no question can settle whether the post exists; only a person can

Two rules hold for every platform, and the caller (`actors.flow.publishing`) enforces them:

- An error at an irreversible step (`Publisher.irreversible_steps`) is unclear, whatever its class: the next run of the
  step asks the platform before it acts. There is no list of answers that "may" have published something.
- A refused question says nothing about the post. `Rejected` ends a publication only while nothing can be public
  (`Publisher.may_stop`); later, only `PostFailed` does.

No error carries a token, a signed address or a request body: errors appear in logs and in front of users.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import redaction

if TYPE_CHECKING:
    from platforms.contract import Handle, QuotaAnswer

Scope = Literal["account", "app"]

Cause = Literal["post", "platform", "network", "wait"]
"""The cause of an error. It decides whether the error counts as one of the publication's retries.

- "post": this post; counts.
- "platform": the server failed (5xx, no usable response); counts, unless the platform as a whole is out of order.
- "network": the server cannot be reached; does not count.
- "wait": nothing is wrong, it is too early (a limit, processing, a refresh under way); does not count.
"""


MAX_QUOTED_CHARS = 200
_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_ADDRESS = re.compile(r"\S*(?:://|www\.)\S*")
_LONG_WORD = re.compile(r"\S{41,}")  # a token, an id or a signature; no word of a sentence
_UNPRINTABLE = re.compile(r"[^\w\s!-~¡-¿‐-‧′-‴]|[\x00-\x1f\x7f]")


def quotable(text: str | None) -> str | None:
    """Return a platform's words for a person: one line, without addresses, tokens and invisible characters.

    None if nothing is left. The words come from another server: they may repeat what was sent to it.
    """
    if not text:
        return None
    known = redaction.redact(text[: 10 * MAX_QUOTED_CHARS]).replace(redaction.REDACTED, "…")
    line = _LONG_WORD.sub("…", _ADDRESS.sub("…", _MARKUP.sub("", known)))
    line = " ".join(_UNPRINTABLE.sub(" ", line.replace("“", '"').replace("”", '"')).split())
    line = line if len(line) <= MAX_QUOTED_CHARS else line[: MAX_QUOTED_CHARS - 1].rstrip() + "…"
    return line.rstrip(". ") or None


class Origin(TypedDict, total=False):
    """The platform's own facts about an error, as keyword arguments.

    Attributes:
        platform_code: the platform's code, e.g. "spam_risk_text" or "9007/2207027"; None when there is none.
        log_id: the id that the platform's support asks for (TikTok log_id, Meta fbtrace_id); None when there is none.
        platform_text: the platform's own words, as `quotable` returns them; None when there are none.
    """

    platform_code: str | None
    log_id: str | None
    platform_text: str | None


class PlatformError(Exception):
    """Base class of all errors of this package.

    Attributes:
        code: our own stable code in snake_case; programs match on it.
        detail: one sentence for a person, without a full stop.
        platform_code: see `Origin`.
        log_id: see `Origin`.
        platform_text: see `Origin`.
    """

    def __init__(self, code: str, detail: str, **origin: Unpack[Origin]) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.platform_code = origin.get("platform_code")
        self.log_id = origin.get("log_id")
        self.platform_text = origin.get("platform_text")

    @property
    def reason(self) -> str:
        """The cause for a person: our sentence with the platform's own words and code, without a full stop."""
        text = f"“{self.platform_text}”" if self.platform_text else ""
        code = f"code {self.platform_code}" if self.platform_code else ""
        said = ", ".join(part for part in (text, code) if part)
        return f"{self.detail} ({said})" if said else self.detail

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.detail}"]
        if self.platform_code:
            parts.append(f"platform code {self.platform_code}")
        if self.log_id:
            parts.append(f"log id {self.log_id}")
        return "; ".join(parts)


class _RunAgain(PlatformError):
    """The same step is to be run again.

    Attributes:
        retry_after_s: seconds until then.
        cause: see `Cause`.
    """

    def __init__(
        self, code: str, detail: str, *, retry_after_s: float, cause: Cause = "platform", **origin: Unpack[Origin]
    ) -> None:
        super().__init__(code, detail, **origin)
        self.retry_after_s = retry_after_s
        self.cause: Cause = cause


class TryLater(_RunAgain):
    """Nothing irreversible happened: run the same step again after `retry_after_s`."""


class RateLimited(TryLater):
    """A limit was reached: run the same step after `retry_after_s`, and make no other call before.

    Attributes:
        scope: "account": only this account waits; "app": every account of this app or project waits.
        quota: what the platform said about its limit of posts; None: it was not asked.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after_s: float,
        scope: Scope,
        quota: QuotaAnswer | None = None,
        **origin: Unpack[Origin],
    ) -> None:
        super().__init__(code, detail, retry_after_s=retry_after_s, cause="wait", **origin)
        self.scope: Scope = scope
        self.quota = quota


class OperatorNeeded(TryLater):
    """The operator must correct our registration with the platform, or its settings; `detail` says how.

    No publication of the platform can go on until then. The step is tried again after `retry_after_s`.
    """

    def __init__(self, code: str, detail: str, *, retry_after_s: float = 3_600.0, **origin: Unpack[Origin]) -> None:
        super().__init__(code, detail, retry_after_s=retry_after_s, cause="wait", **origin)


class Unclear(_RunAgain):
    """The request may have been carried out: run the step after `retry_after_s` with interrupted=True."""


class StartOver(PlatformError):
    """The job at the platform has ended, certainly without a post: store `handle` and run its step later.

    Attributes:
        handle: the first handle of a new job.
        retry_after_s: seconds until its step may be run.
        scope: "account": the account makes no other call until then; None: it may.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        handle: Handle,
        retry_after_s: float,
        scope: Literal["account"] | None = None,
        **origin: Unpack[Origin],
    ) -> None:
        super().__init__(code, detail, **origin)
        self.handle = handle
        self.retry_after_s = retry_after_s
        self.scope = scope


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
    """The platform refused this request, and will refuse it again.

    At a step before anything can be public, the post is not accepted as it is. Later it says nothing about the post.
    """


class PostFailed(PlatformError):
    """The post certainly does not exist and will not.

    Raised only for the platform's own word about the post (`uploadStatus`, `fail_reason`, the status of a container or
    of an upload session), or for a file that is gone while its upload is certainly incomplete.
    """


class AccountRefused(PlatformError):
    """The platform refuses this account (banned, restricted, blocked)."""


class OutcomeUnknown(PlatformError):
    """No question can settle whether the post exists. Never repeat it; show it to a person."""
