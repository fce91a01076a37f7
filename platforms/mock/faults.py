"""Faults on request: what goes wrong next, and at which call.

POST /mock/faults takes one fault or a list of them:
    {"at": "POST .*media_publish", "kind": "lose", "skip": 0, "times": 1, ...}
    at      a pattern for "METHOD /path?query"
    kind    cut     the connection dies after `after_bytes` of the body (0: before anything is done)
            lose    the request is carried out, its answer is not sent
            answer  the request is not carried out; `status`, `body`, `headers` are answered instead
            lie     the request is carried out; `status`, `body`, `headers` are answered all the same
            slow    the request is carried out after `seconds`
            expire  the platform's access tokens expire before the request (`platform`)
    skip    let so many matching requests pass first, struck by other faults or not
    times   then strike so often
They are kept in memory: a mock that starts anew is well again.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset({"cut", "lose", "answer", "lie", "slow", "expire"})


@dataclass
class Fault:
    """One fault; see the module for its fields."""

    at: re.Pattern[str]
    kind: str
    skip: int = 0
    times: int = 1
    after_bytes: int = 0
    status: int = 503
    body: Any = None  # Any: sent back as JSON, whatever it is
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    platform: str = ""


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._struck = 0

    @property
    def struck(self) -> int:
        """How many faults have struck since they were last cleared."""
        return self._struck

    def add(self, told: dict[str, Any]) -> None:  # Any: straight from JSON
        """Add one; raise ValueError when it makes no sense."""
        if told.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}")
        try:
            fault = Fault(**{**told, "at": re.compile(told["at"])})
        except (TypeError, KeyError, re.error) as error:
            raise ValueError(str(error)) from error
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._waiting.clear()
            self._struck = 0

    def strike(self, request_line: str) -> Fault | None:
        """Return the fault that this request meets, using it up."""
        with self._lock:
            struck: Fault | None = None
            for fault in [one for one in self._waiting if one.at.search(request_line)]:
                if fault.skip > 0:
                    fault.skip -= 1
                elif struck is None:
                    struck = fault
            if struck is not None:
                self._use_up(struck)
            return struck

    def _use_up(self, fault: Fault) -> None:
        self._struck += 1
        fault.times -= 1
        if fault.times <= 0:
            self._waiting.remove(fault)
