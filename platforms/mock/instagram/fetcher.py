"""Fetches videos from the addresses that Instagram Login hands in, as Meta's servers would."""

from __future__ import annotations

import http.client
import threading
from urllib.parse import urlsplit

from platforms.mock.shelf import Record, new_id
from platforms.mock.world import World

FETCH_TIMEOUT_S = 10.0


class Fetcher:
    """Fetches videos from the addresses that Instagram Login hands in, as Meta's servers would."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: set[str] = set()

    def ensure(self, name: str, container: Record) -> None:
        """Start fetching unless it is done, failed or under way; a killed mock starts it again at the next question."""
        address = container["fields"].get("video_url")
        with self._world.shelf.lock:
            if not address or container.get("size") or container.get("failed") or name in self._running:
                return
            self._running.add(name)
        threading.Thread(target=self._fetch, args=(name, address), daemon=True).start()

    def _fetch(self, name: str, address: str) -> None:
        try:
            ended = {"size": self._download(name, address)}
        except (OSError, http.client.HTTPException, ValueError) as error:
            ended = {"failed": f"2207052 {type(error).__name__} {error}"}  # type: ignore[dict-item]  # size or reason
        with self._world.shelf.lock:
            container = self._world.shelf.get("instagram", name) or {}
            self._world.shelf.put("instagram", name, {**container, **ended})
            self._running.discard(name)

    def _download(self, name: str, address: str) -> int:
        parts = urlsplit(address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=FETCH_TIMEOUT_S)
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"User-Agent": "facebookexternalua"})
        answer = connection.getresponse()
        if answer.status != 200 or not (answer.getheader("Content-Type") or "").startswith("video/"):
            raise ValueError(f"status {answer.status}")
        draft = self._world.shelf.bytes_path(f"{name}-{new_id()}")
        with draft.open("wb") as file:
            while block := answer.read(65_536):
                file.write(block)
        connection.close()
        draft.replace(self._world.shelf.bytes_path(name))
        return self._world.shelf.size(name)
