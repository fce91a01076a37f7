"""Wrong API keys: counted, logged and refused for each client address.

A valid key is never refused because of wrong ones from its address, which it may share with others (NAT, a proxy). So
the limit does not make guessing harder; the length of the keys does. The log stays small, and a misconfigured program
learns when to try again.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable

from loguru import logger

from api.http.problems import Problem

PER_MINUTE = 10
INTERVAL_S = 60.0
MAX_LOGGED = 20  # addresses in one interval; the others are added up
MAX_COUNTED = 10_000  # likewise: 0.9 MB (measured 2026-11-29)


class FailedKeys:
    """Counts failed authentications in intervals of a minute; the first one begins with a wrong key.

    Args:
        now_s: a clock in seconds that is never set.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._total = 0
        self._since_s = 0.0
        self._counts: Counter[str] = Counter()  # by address, since `_since_s`
        self._others = 0

    @property
    def total(self) -> int:
        """Return the number of wrong keys since the start of the process."""
        return self._total

    def refuse(self, client: str, error: Problem) -> Problem:
        """Count a wrong key; return the error for it.

        Args:
            client: its address, as `rate_limit.client_address`.
            error: the usual one.

        Returns:
            `error`, or 429 with Retry-After after too many wrong keys from the address.
        """
        if self._count(client) <= PER_MINUTE:
            return error
        wait_s = max(1, math.ceil(self._since_s + INTERVAL_S - self._now_s()))
        detail = f"at most {PER_MINUTE} wrong keys a minute from one address; try again in {wait_s} s"
        retry_after = {"Retry-After": str(wait_s)}
        return Problem(429, "too_many", detail, headers=retry_after, limit_per_minute=PER_MINUTE)

    def log_counts(self) -> None:
        """Log the counts of the last interval, if it is over; cheap enough for each request."""
        if self._counts and self._now_s() - self._since_s >= INTERVAL_S:
            with self._lock:
                counts, others = self._counts, self._others
                self._counts, self._others = Counter(), 0
            logged = counts.most_common(MAX_LOGGED)
            for client, count in logged:
                if count > 1:
                    logger.warning("API key: {} wrong keys from {!r} in a minute", count, client[:64])
            others += counts.total() - sum(count for _, count in logged)
            if others:
                logger.warning("API key: {} wrong keys from other addresses in a minute", others)

    def _count(self, client: str) -> int:
        """Count a wrong key; return how many the address has sent in this interval."""
        self.log_counts()
        with self._lock:
            self._total += 1
            if not self._counts:
                self._since_s = self._now_s()
            if client not in self._counts and len(self._counts) >= MAX_COUNTED:
                self._others += 1
                return 1
            self._counts[client] += 1
            count = self._counts[client]
            is_logged = count == 1 and len(self._counts) <= MAX_LOGGED
        if is_logged:
            logger.warning("API key: wrong key from {!r}", client[:64])
        return count
