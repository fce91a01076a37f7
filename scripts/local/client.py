"""A client of the API, for `scripts/run` and the tests of the whole machine.

Its answers have the types from which the API's own OpenAPI document is made.
"""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

import requests

if TYPE_CHECKING:
    from api.resources.documents import AccountsDocument, JobDocument
    from api.resources.publication_documents import PayloadsDocument


class ApiError(Exception):
    """The API answered with an error, or not in time."""


class Client:
    """Sends requests to the API of one machine."""

    def __init__(self, root_url: str, api_key: str) -> None:
        self.root_url = root_url
        self.api_key = api_key
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {api_key}"

    def healthy(self) -> bool:
        """Return whether the API answers; the workers may still be unhealthy."""
        try:
            return self._session.get(f"{self.root_url}/health", timeout=5).status_code in {200, 503}
        except requests.RequestException:
            return False

    def call(self, method: str, path: str, **arguments: Any) -> Any:  # Any: JSON both ways
        """Send one request and return the JSON of its answer, or None.

        Raises:
            ApiError: the answer is an error.
        """
        response = self._session.request(method, f"{self.root_url}{path}", timeout=60, **arguments)
        if response.status_code >= 400:
            raise ApiError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response.json() if "json" in response.headers.get("Content-Type", "") else None

    def call_with_retries(self, method: str, path: str, *, within_s: float = 30.0) -> Any:  # Any: JSON
        """Send an idempotent request, and repeat it while nothing listens: the supervisor restarts the API.

        Raises:
            ApiError: the answer is an error, or nothing listened within `within_s`.
        """
        deadline = time.monotonic() + within_s
        while True:
            try:
                return self.call(method, path)
            except requests.ConnectionError as error:
                if time.monotonic() > deadline:
                    raise ApiError(f"{method} {path}: no answer at {self.root_url}") from error
                time.sleep(0.2)

    def status(self, job_id: str) -> JobDocument:
        """Return the status of a job."""
        return cast("JobDocument", self.call_with_retries("GET", f"/status/{job_id}"))

    def payloads(self, job_id: str) -> PayloadsDocument:
        """Return what the waiting posts of a job would send."""
        return cast("PayloadsDocument", self.call("GET", f"/jobs/{job_id}/payloads"))

    def accounts(self) -> AccountsDocument:
        """Return the connected accounts."""
        return cast("AccountsDocument", self.call("GET", "/accounts"))

    def connect(self, platform: str) -> None:
        """Connect an account by following the redirects to the platform and back, as a browser does."""
        self.call("GET", f"/connect/{platform}", headers={"Accept": "text/html"})  # it ends at a page

    def upload(self, video: Path, fields: dict[str, str], progress: Callable[[float], None]) -> str:
        """Upload a video and return its job's id."""
        boundary = secrets.token_hex(16)
        body = _Multipart(boundary, fields, video, progress)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        with body:
            answer = self.call("POST", "/upload", data=body, headers=headers)
        return str(answer["job_id"])


class _Multipart:
    """A form that reads its file while it is sent; that of requests would hold the whole video in memory."""

    def __init__(self, boundary: str, fields: dict[str, str], video: Path, progress: Callable[[float], None]) -> None:
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in fields.items()
        )
        name = video.name.replace('"', "%22")
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        self._file = video.open("rb")
        self._pieces: list[IO[bytes]] = [
            io.BytesIO(f"{head}Content-Type: video/mp4\r\n\r\n".encode()),
            self._file,
            io.BytesIO(f"\r\n--{boundary}--\r\n".encode()),
        ]
        self._length = sum(piece.seek(0, io.SEEK_END) for piece in self._pieces)
        for piece in self._pieces:
            piece.seek(0)
        self._sent = 0
        self._progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return the number of unsent bytes, as requests expects of a body."""
        return self._length - self._sent

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        while self._pieces:
            if chunk := self._pieces[0].read(size):
                self._sent += len(chunk)
                self._progress(self._sent / self._length)
                return chunk
            self._pieces.pop(0)
        return b""
