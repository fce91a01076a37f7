"""Builds the requests of a publication without sending those that change anything at the platform.

The real publisher runs, step by step, up to the request that would make the post public, which is built, too. What it
sends is answered here: by stand-in answers of the platform's package, or, for requests that only read, by the platform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from platforms.contract import Advanced, AuthorizedAccount, Handle, Outcome, Post, Publisher
from platforms.errors import PlatformError
from platforms.http.exchange import Response
from platforms.http.local_answers import OutgoingRequest, answered_by

MAX_STEPS = 100  # 500 MB in chunks of 8 MB are 60
STAND_IN = "dry-run"
"""The ids in stand-in answers, and so in the requests that follow them."""


@dataclass(frozen=True)
class DryAnswer:
    """The stand-in answer to a request.

    Attributes:
        response: as of a platform that has no objection.
        is_read: the request changes nothing at the platform, and may be sent for an answer of its own.
    """

    response: Response
    is_read: bool = False


DryAnswers = Callable[[OutgoingRequest], DryAnswer]
"""Returns the stand-in answer of a platform; raises `UnknownRequest`."""

Reader = Callable[[OutgoingRequest], Response | None]
"""Sends a request that only reads; None: it got no answer."""


class UnknownRequest(Exception):
    """A publisher makes a request for which its package has no stand-in answer; it is not sent."""


@dataclass(frozen=True)
class BuiltRequest:
    """A request that a publication would send.

    Attributes:
        step: of the publisher's state machine.
        request: as the publisher made it.
        is_read: it changes nothing at the platform.
    """

    step: str
    request: OutgoingRequest
    is_read: bool


@dataclass
class DryRun:
    """The requests of a publication, and the error at which they end early."""

    requests: list[BuiltRequest] = field(default_factory=list)
    error: PlatformError | None = None


def build(publisher: Publisher, post: Post, account: AuthorizedAccount, answers: DryAnswers, read: Reader) -> DryRun:
    """Build the requests of a publication.

    Args:
        publisher: of the platform.
        post: what would be published.
        account: whose token goes into the requests.
        answers: stand-in answers of the platform.
        read: sends the requests that only read.
    """
    run = DryRun()
    try:
        handle = publisher.begin(post, account)
        for _ in range(MAX_STEPS):
            outcome = _advance(run, publisher, post, account, handle, answers, read)
            if _is_over(publisher, handle, outcome):
                break
            handle = outcome.handle
    except PlatformError as error:
        run.error = error
    return run


def _advance(
    run: DryRun,
    publisher: Publisher,
    post: Post,
    account: AuthorizedAccount,
    handle: Handle,
    answers: DryAnswers,
    read: Reader,
) -> Outcome:
    def answer(request: OutgoingRequest) -> Response:
        stand_in = answers(request)
        run.requests.append(BuiltRequest(handle.step, request, stand_in.is_read))
        return (read(request) if stand_in.is_read else None) or stand_in.response

    with answered_by(answer):
        return publisher.advance(post, account, handle, interrupted=False)


def _is_over(publisher: Publisher, handle: Handle, outcome: Outcome) -> bool:
    """Return whether the last request was the one that would have made the post public."""
    irreversible = publisher.irreversible_steps
    return not isinstance(outcome, Advanced) or (
        handle.step in irreversible and outcome.handle.step not in irreversible
    )


def json_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> DryAnswer:
    """Return a stand-in answer."""
    return DryAnswer(Response(status, headers or {}, body))


def read_answer(body: bytes) -> DryAnswer:
    """Return the stand-in answer to a request that only reads."""
    return replace(json_answer(body), is_read=True)


def path_of(request: OutgoingRequest) -> str:
    """Return the path of a request."""
    return urlsplit(request.url).path


def has_last_byte(request: OutgoingRequest) -> bool:
    """Return whether a request with Content-Range has the last byte of its file."""
    span, _, total = request.headers["Content-Range"].removeprefix("bytes ").partition("/")
    return int(span.partition("-")[2]) + 1 == int(total)
