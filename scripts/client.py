"""The API as a program on the other side uses it: what `scripts/run` and the tests of whole journeys do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

CHUNK_BYTES = 1 << 18


class ApiError(Exception):
    """The API said no; the message is its own."""


class Client:
    """Speaks to one machine."""

    def __init__(self, root_url: str, api_key: str) -> None:
        self.root_url = root_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {api_key}"

    def healthy(self) -> bool:
        """Say whether the API answers at all (its verdict on the workers may still be red)."""
        try:
            return self._session.get(f"{self.root_url}/health", timeout=5).status_code in {200, 503}
        except requests.RequestException:
            return False

    def call(self, method: str, path: str, **arguments: Any) -> Any:  # Any: JSON both ways
        """Make one call and return its JSON, or None.

        Raises:
            ApiError: the answer was an error.
        """
        response = self._session.request(method, f"{self.root_url}{path}", timeout=60, **arguments)
        if response.status_code >= 400:
            raise ApiError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response.json() if "json" in response.headers.get("Content-Type", "") else None

    def connect(self, platform: str) -> None:
        """Connect an account as a browser would: to the platform and back."""
        self.call("GET", f"/connect/{platform}")

    def upload(self, video: Path, fields: dict[str, str], progress: Callable[[float], None]) -> str:
        """Upload a video and return its job's id."""
        boundary = secrets.token_hex(16)
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{video.name}"\r\n'
        head += "Content-Type: video/mp4\r\n\r\n"
        tail = f"\r\n--{boundary}--\r\n"
        size = video.stat().st_size
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head.encode()) + size + len(tail)),
        }
        body = _body(head.encode(), video, tail.encode(), lambda sent: progress(sent / max(1, size)))
        answer = self.call("POST", "/upload", data=body, headers=headers)
        return str(answer["job_id"])


def _body(head: bytes, video: Path, tail: bytes, progress: Callable[[int], None]) -> Iterator[bytes]:
    yield head
    sent = 0
    with video.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            progress(sent)
    yield tail
