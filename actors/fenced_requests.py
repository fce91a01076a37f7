"""Puts the requests of worker threads under a fence, so that they end when the process has lost its lease."""

from __future__ import annotations

from typing import Any

import dramatiq

from platforms.http import fencing
from platforms.http.fencing import Fence


class FencedRequests(dramatiq.Middleware):
    """Dramatiq middleware that puts all requests of actors under a fence."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:  # Any: as in dramatiq
        """Let the thread that processes a message send under the fence."""
        del broker, message
        fencing.use(self._fence)
