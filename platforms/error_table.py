"""Builders for the tables that map a platform's error codes to our errors.

A table maps each code to an `ErrorMeaning`, which builds the error with the facts of one response. Meanings are looked
up by code, never searched for in a text. `StatusMeanings` classifies what no table lists, by one rule for all
platforms; the two functions at the end classify requests that got no usable response. All codes of our own are listed
in docs/publishing-errors.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from platforms.errors import (
    AccountRefused,
    Cause,
    OperatorNeeded,
    Origin,
    OutcomeUnknown,
    PlatformError,
    PostFailed,
    RateLimited,
    Reconnect,
    Rejected,
    Scope,
    TryLater,
    Unclear,
    quotable,
)
from platforms.http import client
from platforms.http.client import Response

MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0
UNREACHABLE_RETRY_S = 10.0
LOST_RESPONSE_RETRY_S = 2.0

# A refusal is a verdict only with one of these statuses and a body in the platform's own format. Any other 4xx may come
# from a proxy, a captcha page or a load balancer, and says nothing about the request.
VERDICT_STATUSES = frozenset({400, 403, 404, 413, 422})
PASSING_STATUSES = frozenset({408, 409, 425})


@dataclass(frozen=True)
class ErrorMeaning:
    """The meaning of one platform code.

    Attributes:
        build: makes the error; takes `Origin`'s keywords, and `retry_after_s` where `wait_s` is given.
        wait_s: how long to wait when the platform names no time; None: the error has no waiting time.
    """

    build: Callable[..., PlatformError]
    wait_s: float | None = None

    def error(
        self,
        *,
        platform_code: str | None = None,
        log_id: str | None = None,
        text: str | None = None,
        retry_after_s: float | None = None,
    ) -> PlatformError:
        """Return the error for one response; a `retry_after_s` that the platform names takes precedence."""
        origin = Origin(platform_code=platform_code, log_id=log_id, platform_text=quotable(text))
        if self.wait_s is None:
            return self.build(**origin)
        return self.build(retry_after_s=retry_after_s or self.wait_s, **origin)


def later(code: str, detail: str, wait_s: float, cause: Cause = "platform") -> ErrorMeaning:
    """Return the meaning "nothing happened, try again later"."""
    return ErrorMeaning(partial(TryLater, code, detail, cause=cause), wait_s)


def operator_needed(code: str, detail: str, wait_s: float = HOUR_S) -> ErrorMeaning:
    """Return the meaning "the operator must correct our registration"; the detail says how."""
    return ErrorMeaning(partial(OperatorNeeded, code, detail), wait_s)


def limited(code: str, detail: str, wait_s: float, scope: Scope = "account") -> ErrorMeaning:
    """Return the meaning "a limit was reached"."""
    return ErrorMeaning(partial(RateLimited, code, detail, scope=scope), wait_s)


def reconnect(code: str, detail: str, *, refreshable: bool = False) -> ErrorMeaning:
    """Return the meaning "the token is invalid"."""
    return ErrorMeaning(partial(Reconnect, code, detail, refreshable=refreshable))


def rejected(code: str, detail: str) -> ErrorMeaning:
    """Return the meaning "this request will never be accepted"."""
    return ErrorMeaning(partial(Rejected, code, detail))


def post_failed(code: str, detail: str) -> ErrorMeaning:
    """Return the meaning "the platform says that this post has failed"."""
    return ErrorMeaning(partial(PostFailed, code, detail))


def account_refused(code: str, detail: str) -> ErrorMeaning:
    """Return the meaning "this account is refused"."""
    return ErrorMeaning(partial(AccountRefused, code, detail))


def unknown(code: str, detail: str) -> ErrorMeaning:
    """Return the meaning "no question can settle the outcome"."""
    return ErrorMeaning(partial(OutcomeUnknown, code, detail))


@dataclass(frozen=True)
class StatusMeanings:
    """The meanings of responses whose code no table of a platform lists.

    Attributes:
        platform: the name that people know, for the details.
        token: of a 401.
        limit: of a 429.
    """

    platform: str
    token: ErrorMeaning
    limit: ErrorMeaning

    def error(
        self,
        response: Response,
        listed: ErrorMeaning | None,
        *,
        code: str | None,
        log_id: str | None = None,
        text: str | None = None,
        acts: bool = False,
        retry_after_s: float | None = None,
    ) -> PlatformError:
        """Return the error for a response that is no success.

        Args:
            listed: what the platform's table says about the code; None: it does not list it.
            code: the platform's code; None: the body is not in the platform's format.
            log_id: see `Origin`.
            text: the platform's message.
            acts: whether the request may have changed something.
            retry_after_s: the platform's own estimate, before Retry-After.
        """
        wait_s = retry_after_s or response.retry_after_s
        meaning = listed or self._by_status(response.status, code)
        if response.status == 401 and listed is not None and not isinstance(listed.error(), TryLater | Reconnect):
            meaning = self.token  # whatever the code says: without a valid token nothing was judged
        if meaning is not None:
            error = meaning.error(
                platform_code=code or f"http_{response.status}", log_id=log_id, text=text, retry_after_s=wait_s
            )
            # A server that fails is in no state to judge a post or an account.
            if response.status < 500 or isinstance(error, TryLater | Reconnect | OutcomeUnknown):
                return error
        failed = server_failed(response.status, acts=acts, retry_after_s=wait_s)
        failed.platform_code, failed.log_id, failed.platform_text = code, log_id, quotable(text)
        return failed

    def _by_status(self, status: int, code: str | None) -> ErrorMeaning | None:
        if status == 401:
            return self.token
        if status == 429:
            return self.limit
        if status in PASSING_STATUSES:
            return later("try_again", f"{self.platform} could not handle the request at the moment", MINUTE_S)
        if code and status in VERDICT_STATUSES:
            return rejected("refused", f"{self.platform} did not accept this post")
        return None


def no_response(error: client.TransportError, *, acts: bool) -> PlatformError:
    """Return the error for a request without a response.

    Args:
        acts: whether the request changes something. A question whose answer was lost is simply asked again.
    """
    if isinstance(error, client.NeverSent):
        detail = f"The server cannot be reached ({error})"
        return TryLater("unreachable", detail, retry_after_s=UNREACHABLE_RETRY_S, cause="network")
    return _lost(f"The server did not answer ({error})", acts=acts)


def server_failed(status: int, *, acts: bool, retry_after_s: float | None = None) -> PlatformError:
    """Return the error for a 5xx, or for a response that cannot be parsed."""
    error = _lost(f"The server sent no usable response (HTTP {status})", acts=acts)
    if retry_after_s is not None:
        error.retry_after_s = retry_after_s
    return error


def _lost(detail: str, *, acts: bool) -> TryLater | Unclear:
    if acts:
        return Unclear("answer_lost", detail, retry_after_s=LOST_RESPONSE_RETRY_S)
    return TryLater("answer_lost", detail, retry_after_s=LOST_RESPONSE_RETRY_S * 5)
