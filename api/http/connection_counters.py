"""Counts of refused and closed connections, for the log and for the metrics."""

from __future__ import annotations

import threading
from collections import Counter
from enum import StrEnum

from loguru import logger

LOG_INTERVAL_S = 60.0
MAX_LOGGED_ADDRESSES = 20
"""Addresses with a log line of their own in one interval; the others share one line."""

MAX_ADDRESSES = 1000
"""Addresses that are counted separately in one interval, so that clients with many addresses do not fill the memory."""

_MAX_SHOWN_ADDRESS_CHARS = 64
_OTHERS = "others"


class Refusal(StrEnum):
    """The reason of a refused request or a closed connection."""

    HEAD_TIMEOUT = "head_timeout"  # the head of a request was not complete in time
    BODY_TIMEOUT = "body_timeout"  # the body of a request arrived too slowly
    UPLOAD_TIMEOUT = "upload_timeout"  # an authenticated upload was silent or slow for too long
    RESPONSE_TIMEOUT = "response_timeout"  # the client read its response too slowly
    ADDRESS_SHARE = "address_share"  # too many connections from one address
    CONNECTION_LIMIT = "connection_limit"  # too many connections in total
    MEMORY = "memory"  # too much memory for incomplete requests and unread responses
    MALFORMED = "malformed"  # ambiguous or malformed framing of a request
    BODY = "body"  # a body that is too large, in chunks, or not expected


class ConnectionCounters:
    """Counts refusals by reason; logs at most one line for each address and interval.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[Refusal] = Counter()
        self._recent: dict[str, Counter[Refusal]] = {}
        self._logged_s: float | None = None
        self.open_connections = 0
        self.held_bytes = 0

    def count(self, reason: Refusal, address: str) -> None:
        """Count one refusal.

        Args:
            address: of the client, from `client_address`.
        """
        with self._lock:
            self._totals[reason] += 1
            known = address in self._recent or len(self._recent) < MAX_ADDRESSES
            self._recent.setdefault(address if known else _OTHERS, Counter())[reason] += 1

    def totals(self) -> dict[Refusal, int]:
        """Return the number of refusals by reason since the start; 0 for the other reasons."""
        with self._lock:
            return {reason: self._totals[reason] for reason in Refusal}

    def log(self, now_s: float) -> None:
        """Log the refusals since the last call that logged, at most once in each interval.

        Args:
            now_s: a clock in seconds that is never set.
        """
        with self._lock:
            if not self._recent or (self._logged_s is not None and now_s - self._logged_s < LOG_INTERVAL_S):
                return
            recent, self._recent, self._logged_s = self._recent, {}, now_s
        by_size = sorted(recent.items(), key=lambda item: item[1].total(), reverse=True)
        for address, reasons in by_size[:MAX_LOGGED_ADDRESSES]:
            logger.warning("connections of {!r} refused: {}", address[:_MAX_SHOWN_ADDRESS_CHARS], _listed(reasons))
        rest = by_size[MAX_LOGGED_ADDRESSES:]
        if rest:
            together: Counter[Refusal] = sum((reasons for _, reasons in rest), Counter())
            logger.warning("connections of {} other addresses refused: {}", len(rest), _listed(together))


def _listed(reasons: Counter[Refusal]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
