"""How tables say what a platform's error code means, and how two lost answers are told apart.

A table maps the platform's code to a verdict; the verdict builds the error with the facts of the moment. What a code
means is looked up, never searched for in a text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from platforms.errors import (
    AccountRefused,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    Reconnect,
    Rejected,
    Scope,
    TryLater,
    Unclear,
)
from platforms.http import client

MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0
UNREACHABLE_RETRY_S = 10.0
LOST_ANSWER_RETRY_S = 2.0

Build = Callable[[str | None, str | None, float | None], PlatformError]


@dataclass(frozen=True)
class Verdict:
    """What one platform code means; call `error` to get it with the facts of the moment."""

    build: Build

    def error(
        self, *, platform_code: str | None = None, log_id: str | None = None, retry_after_s: float | None = None
    ) -> PlatformError:
        """Return the error; `retry_after_s` is what the platform itself asked for, and wins when given."""
        return self.build(platform_code, log_id, retry_after_s)


def later(code: str, detail: str, after_s: float) -> Verdict:
    """Nothing happened; the same step again."""
    return Verdict(
        lambda theirs, log, asked: TryLater(
            code, detail, retry_after_s=asked or after_s, platform_code=theirs, log_id=log
        )
    )


def limited(code: str, detail: str, after_s: float, scope: Scope = "account") -> Verdict:
    """A limit was reached."""
    return Verdict(
        lambda theirs, log, asked: RateLimited(
            code, detail, retry_after_s=asked or after_s, scope=scope, platform_code=theirs, log_id=log
        )
    )


def unclear(code: str, detail: str, after_s: float) -> Verdict:
    """It may have happened."""
    return Verdict(
        lambda theirs, log, asked: Unclear(
            code, detail, retry_after_s=asked or after_s, platform_code=theirs, log_id=log
        )
    )


def reconnect(code: str, detail: str, *, refreshable: bool = False) -> Verdict:
    """The token is dead."""
    return Verdict(
        lambda theirs, log, _asked: Reconnect(code, detail, refreshable=refreshable, platform_code=theirs, log_id=log)
    )


def rejected(code: str, detail: str) -> Verdict:
    """Never this post."""
    return Verdict(lambda theirs, log, _asked: Rejected(code, detail, platform_code=theirs, log_id=log))


def account_refused(code: str, detail: str) -> Verdict:
    """Never this account."""
    return Verdict(lambda theirs, log, _asked: AccountRefused(code, detail, platform_code=theirs, log_id=log))


def unknown(code: str, detail: str) -> Verdict:
    """Asking cannot settle it."""
    return Verdict(lambda theirs, log, _asked: OutcomeUnknown(code, detail, platform_code=theirs, log_id=log))


def no_answer(error: client.WireError, *, acts: bool) -> PlatformError:
    """Say what a missing answer means.

    Args:
        acts: whether the request changes something; a lost answer to a question is merely a question to repeat.
    """
    if isinstance(error, client.NeverSent):
        return TryLater("unreachable", f"no connection ({error})", retry_after_s=UNREACHABLE_RETRY_S)
    return _lost(f"no answer ({error})", acts=acts)


def server_failed(status: int, *, acts: bool, retry_after_s: float | None = None) -> PlatformError:
    """Say what a 5xx, or an answer nobody can read, means."""
    error = _lost(f"the server answered {status} and nothing usable", acts=acts)
    if retry_after_s is not None:
        error.retry_after_s = retry_after_s
    return error


def _lost(detail: str, *, acts: bool) -> TryLater | Unclear:
    if acts:
        return Unclear("answer_lost", detail, retry_after_s=LOST_ANSWER_RETRY_S)
    return TryLater("answer_lost", detail, retry_after_s=LOST_ANSWER_RETRY_S * 5)
