"""The log of the faults and uploads: a line of JSON for each, with the seconds since the start."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path


class Timeline:
    """Writes events to a file and counts the faults; any thread may call it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._began_s = time.monotonic()
        self._file = path.open("w", buffering=1)

    def fault(self, kind: str, detail: str = "") -> None:
        """Record a fault."""
        with self._lock:
            self.counts[kind] += 1
        self.event(f"fault {kind}", detail)

    def event(self, event: str, detail: str = "") -> None:
        """Record another event."""
        line = json.dumps({"at_s": round(time.monotonic() - self._began_s, 2), "event": event, "detail": detail})
        with self._lock:
            if not self._file.closed:
                self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file; what comes later is ignored."""
        with self._lock:
            self._file.close()
