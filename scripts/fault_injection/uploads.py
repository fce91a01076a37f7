"""Clients that upload: by a form or by tus, on connections that break, slowly, and with files that are no videos."""

from __future__ import annotations

import http.client
import random
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from scripts.fault_injection.clips import Clip

BLOCK_BYTES = 16_384
PAUSE_S = 0.5  # before an upload is tried again
PATIENCE_S = 90.0  # after the faults have ended
SHARES = {"cut": 0.3, "slow": 0.1}  # of requests that are broken off, and of those that are sent slowly
TEMPORARY = frozenset({408, 409, 423, 429, 460, 500, 502, 503, 507})
"""Answers after which the client tries again."""


@dataclass
class Upload:
    """An upload as its client knows it."""

    title: str
    clip: Clip
    way: str  # "form" or "tus"
    job_id: str | None = None  # accepted
    refusal: str | None = None  # by the last answer
    answered: bool = False  # the client knows whether it was accepted
    key: str = field(default_factory=lambda: uuid.uuid4().hex)  # Idempotency-Key of a form
    address: str | None = None  # path of a resumable upload


class Broken(Exception):
    """No answer: the connection was refused, cut by the client, or broke."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    text: str


class Sender:
    """Sends the requests of one upload until it is accepted or refused for good."""

    def __init__(self, root_url: str, api_key: str, rng: random.Random, calm: threading.Event) -> None:
        """Prepare.

        Args:
            root_url: of the API.
            api_key: for it.
            rng: decides which requests are cut or slow.
            calm: set when the faults have ended; then no request is cut or slow.
        """
        parts = urlsplit(root_url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._rng = rng
        self._calm = calm

    def send(self, upload: Upload, options: Mapping[str, str]) -> None:
        """Upload the file, and record in `upload` what became of it."""
        steps = self._form(upload, options) if upload.way == "form" else self._tus(upload, options)
        calm_since: float | None = None
        while not upload.answered:
            try:
                next(steps)
            except Broken:
                steps = self._form(upload, options) if upload.way == "form" else self._tus(upload, options)
            except StopIteration:
                return
            if self._calm.is_set():
                calm_since = calm_since or time.monotonic()
                if time.monotonic() > calm_since + PATIENCE_S:
                    return
            time.sleep(PAUSE_S)

    def _form(self, upload: Upload, options: Mapping[str, str]) -> Iterator[None]:
        head = "".join(
            f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in {"title": upload.title, **options}.items()
        )
        head += f'--B\r\nContent-Disposition: form-data; name="file"; filename="{upload.clip.path.name}"\r\n\r\n'
        body = head.encode() + upload.clip.path.read_bytes() + b"\r\n--B--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=B", "Idempotency-Key": upload.key}
        while True:
            self._note(upload, self._request("POST", "/upload", headers, body))
            yield

    def _tus(self, upload: Upload, options: Mapping[str, str]) -> Iterator[None]:
        content = upload.clip.path.read_bytes()
        if upload.address is None:
            pairs = {"title": upload.title, "filename": upload.clip.path.name, **options}
            metadata = ",".join(f"{name} {b64encode(text.encode()).decode()}" for name, text in pairs.items())
            made = self._request("POST", "/files", {"Upload-Length": str(len(content)), "Upload-Metadata": metadata})
            if made.status != 201:
                self._note(upload, made)
                yield
                raise Broken
            upload.address = urlsplit(made.headers["location"]).path
        while True:
            asked = self._request("HEAD", upload.address, {})
            self._note(upload, asked)
            if upload.answered or asked.status != 200:
                yield
                continue
            offset = int(asked.headers["upload-offset"])
            piece = content[offset : offset + self._rng.choice((100_000, 400_000, len(content)))]
            kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
            self._note(upload, self._request("PATCH", upload.address, kind, piece))
            yield

    def _note(self, upload: Upload, answer: Answer) -> None:
        if answer.status < 400 and (job_id := answer.headers.get("x-job-id")):
            upload.job_id, upload.answered, upload.refusal = job_id, True, None
        elif answer.status >= 400:
            upload.refusal = f"{answer.status} {answer.text[:300]}"
            upload.answered = answer.status not in TEMPORARY

    def _request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Send a request.

        Raises:
            Broken: there is no answer.
        """
        chance = self._rng.random()
        cut = len(body) > 0 and chance < SHARES["cut"] and not self._calm.is_set()
        slow = 1 - chance < SHARES["slow"] and not self._calm.is_set()
        sent = body[: self._rng.randrange(len(body))] if cut else body
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.putrequest(method, path)
            for name, text in {**self._headers, **headers, "Tus-Resumable": "1.0.0"}.items():
                connection.putheader(name, text)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            for at in range(0, len(sent), BLOCK_BYTES):
                connection.send(sent[at : at + BLOCK_BYTES])
                if slow:
                    time.sleep(0.1)
            if cut:
                raise Broken
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
        except (OSError, http.client.HTTPException) as error:
            raise Broken from error
        finally:
            connection.close()
