"""The outcome of an exchange: a response, or an error. Also the limits that apply unless a caller sets others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
DEADLINE_S = 60.0
BODY_CAP_BYTES = 1_048_576
MAX_RETRY_AFTER_S = 86_400.0


@dataclass(frozen=True)
class TransportFailure:
    """The cause of a missing response.

    Attributes:
        code: stable, snake_case, for programs.
        detail: a clause for people, without an address.
    """

    code: str
    detail: str


class TransportError(Exception):
    """No usable response came. The message holds no address, since addresses carry secrets.

    Attributes:
        failure: what went wrong.
    """

    def __init__(self, reason: str, failure: TransportFailure | None = None) -> None:
        super().__init__(reason)
        self.failure = failure or TransportFailure("failed", reason)


class NeverSent(TransportError):
    """The connection was never established; no byte of the request was sent."""


class ResponseLost(TransportError):
    """The request was sent, wholly or partly, and no response came back."""


@dataclass(frozen=True)
class Response:
    """A response, whatever its status.

    Attributes:
        body: at most the cap; neither decompressed (we ask for no compression) nor decoded.
        whole: False when the body was longer than the cap or was cut off.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    whole: bool = True

    @property
    def retry_after_s(self) -> float | None:
        """The seconds in Retry-After (a number or an HTTP date), at most a day; None when missing or malformed."""
        return retry_after_s(self.headers.get("Retry-After", ""))


def retry_after_s(header: str) -> float | None:
    """Return the seconds of a Retry-After header, at most a day; None when malformed."""
    if header.strip().isascii() and header.strip().isdigit():
        return min(float(header), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
