"""Faults on request: errors that the next matching requests meet.

POST /mock/faults takes one fault or a list of them:
    {"at": "POST .*media_publish", "kind": "lose", "skip": 0, "times": 1, ...}
    at      a regular expression for "METHOD /path?query"
    kind    cut     the connection is closed after `after_bytes` of the body (0: before anything is done)
            lose    the request is carried out, its response is not sent
            answer  the request is not carried out; the response is `status`, `body`, `headers`
            lie     the request is carried out; the response is `status`, `body`, `headers` all the same
                    (with `content`, of the type `content_type`, in place of a `body` in JSON)
            slow    the request is carried out after `seconds`
            expire  the access tokens of `platform` expire before the request
    skip    number of matching requests to leave alone first, whether or not another fault strikes them
    times   number of requests to strike after that
Faults are kept in memory only: a restarted mock has none.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset({"cut", "lose", "answer", "lie", "slow", "expire"})


@dataclass
class Fault:
    """One fault; the fields are described in the module's docstring."""

    at: re.Pattern[str]
    kind: str
    skip: int = 0
    times: int = 1
    after_bytes: int = 0
    status: int = 503
    body: Any = None  # Any: sent as JSON, whatever it is
    content: str | None = None
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    platform: str = ""


class Faults:
    """The faults that have not struck yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Fault] = []
        self._struck = 0

    @property
    def struck(self) -> int:
        """Number of faults that have struck since the last `clear`."""
        return self._struck

    def add(self, description: dict[str, Any]) -> None:  # Any: straight from JSON
        """Add one fault.

        Raises:
            ValueError: an unknown kind or field, or a malformed pattern.
        """
        if description.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}")
        try:
            fault = Fault(**{**description, "at": re.compile(description["at"])})
        except (TypeError, KeyError, re.error) as error:
            raise ValueError(str(error)) from error
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._pending.clear()
            self._struck = 0

    def strike(self, request_line: str) -> Fault | None:
        """Return the fault that strikes this request, and count it."""
        with self._lock:
            struck: Fault | None = None
            for fault in [pending for pending in self._pending if pending.at.search(request_line)]:
                if fault.skip > 0:
                    fault.skip -= 1
                elif struck is None:
                    struck = fault
            if struck is not None:
                self._count(struck)
            return struck

    def _count(self, fault: Fault) -> None:
        self._struck += 1
        fault.times -= 1
        if fault.times <= 0:
            self._pending.remove(fault)
