"""Requests that only read at a platform, with answers that are kept for a minute."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from platforms.http import client
from platforms.http.exchange import Response
from platforms.http.local_answers import OutgoingRequest, answered_by

KEPT_FOR_S = 60.0
MAX_KEPT = 200
DEADLINE_S = 10.0  # a person waits for the answer

_Key = tuple[str, str, str, str]  # account, method, address, body


@dataclass
class PlatformReads:
    """The kept answers of a process.

    Attributes:
        now_s: a clock that is never set back.
    """

    now_s: Callable[[], float] = time.monotonic
    _kept: OrderedDict[_Key, tuple[float, Response]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, account_id: str, request: OutgoingRequest) -> Response | None:
        """Return the answer to a request of an account; None if none came.

        Its token is no part of the key: the answer is about the account.
        """
        key = account_id, request.method, request.url, json.dumps(request.body)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and self.now_s() - kept[0] < KEPT_FOR_S:
            return kept[1]
        answer = _send(request)
        if answer is not None and answer.status < 500:
            with self._lock:
                self._kept[key] = self.now_s(), answer
                while len(self._kept) > MAX_KEPT:
                    self._kept.popitem(last=False)
        return answer


def _send(request: OutgoingRequest) -> Response | None:
    try:
        with answered_by(None):
            return client.request(
                request.method, request.url, headers=request.headers, json=request.body, deadline_s=DEADLINE_S
            )
    except client.TransportError:
        return None
