"""Fetching of videos from the addresses that Instagram Login passes, as Meta's servers do."""

from __future__ import annotations

import http.client
import threading
from urllib.parse import urlsplit

from platforms.mock.state import MockState
from platforms.mock.storage import Record, new_id

FETCH_TIMEOUT_S = 10.0


class Fetcher:
    """Fetches the videos of containers, each in a thread of its own."""

    def __init__(self, state: MockState) -> None:
        self._state = state
        self._running: set[str] = set()

    def ensure(self, name: str, container: Record) -> None:
        """Start fetching unless it is done, failed or running; after a kill, the next request starts it again."""
        address = container["fields"].get("video_url")
        with self._state.storage.lock:
            if not address or container.get("size") or container.get("failed") or name in self._running:
                return
            self._running.add(name)
        threading.Thread(target=self._fetch, args=(name, address), daemon=True).start()

    def _fetch(self, name: str, address: str) -> None:
        try:
            outcome = {"size": self._download(name, address)}
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome = {"failed": f"2207052 {type(error).__name__} {error}"}  # type: ignore[dict-item]  # size or reason
        with self._state.storage.lock:
            container = self._state.storage.get("instagram", name)
            if container is not None:  # it may have been removed meanwhile
                self._state.storage.put("instagram", name, {**container, **outcome})
            self._running.discard(name)

    def _download(self, name: str, address: str) -> int:
        parts = urlsplit(address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=FETCH_TIMEOUT_S)
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"User-Agent": "facebookexternalua"})
        response = connection.getresponse()
        if response.status != 200 or not (response.getheader("Content-Type") or "").startswith("video/"):
            raise ValueError(f"status {response.status}")
        temporary = self._state.storage.bytes_path(f"{name}-{new_id()}")
        with temporary.open("wb") as file:
            while block := response.read(65_536):
                file.write(block)
        connection.close()
        temporary.replace(self._state.storage.bytes_path(name))
        return self._state.storage.size(name)
