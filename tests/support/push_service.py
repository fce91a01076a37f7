"""A strict push service for tests, and browsers that subscribe to it.

It verifies signatures with py-vapid and decrypts with http-ece: neither shares code with ours.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

__all__ = ["PushService", "TestBrowser", "push_service"]

TOPIC_LETTERS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TestBrowser:
    """A browser with a subscription.

    Attributes:
        received: decrypted messages.
        application_key: public key with which it has subscribed; None accepts every valid signature.
    """

    __test__ = False

    def __init__(self, endpoint: str, application_key: str | None = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)
        self.endpoint = endpoint
        self.application_key = application_key
        self.received: list[dict[str, Any]] = []  # Any: JSON

    @property
    def subscription(self) -> dict[str, Any]:  # Any: JSON
        """The members of a subscription in JSON, as the page gets it from the browser."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "endpoint": self.endpoint,
            "expirationTime": None,
            "keys": {"p256dh": encode(point), "auth": encode(self._auth)},
        }

    def decrypt(self, body: bytes) -> bytes:
        text: bytes = http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth, version="aes128gcm")
        return text


class PushService:
    """Accepts messages that keep to RFC 8030, 8291 and 8292, and answers all others with 4xx.

    Attributes:
        status: of the next answers; 201 checks the request first.
        headers: of the answers.
        requests: headers of each request, in lower case.
        refusals: why requests were refused.
        before_answer: called with each request before it is answered; may block.
    """

    def __init__(self) -> None:
        self.status = 201
        self.headers: dict[str, str] = {}
        self.requests: list[dict[str, str]] = []
        self.refusals: list[str] = []
        self.browsers: dict[str, TestBrowser] = {}
        self.before_answer: Callable[[], object] = lambda: None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): text for name, text in self.headers.items()}
                status, reason = service.answer(self.path, headers, body)
                text = json.dumps({"reason": reason}).encode() if reason else b""
                self.send_response(status)
                for name, value in service.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its own name)
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def browser(self, application_key: str | None = None) -> TestBrowser:
        """Return a new browser with a subscription."""
        path = f"/push/{len(self.browsers) + 1}"
        self.browsers[path] = TestBrowser(f"{self.origin}{path}", application_key)
        return self.browsers[path]

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Return the status and the reason of an answer; a message that is accepted is given to its browser."""
        self.requests.append(headers)
        self.before_answer()
        if self.status != 201:
            return self.status, ""
        browser = self.browsers.get(path)
        if browser is None:
            return 410, "unsubscribed"
        status, reason = self._check(browser, headers, body)
        if reason:
            self.refusals.append(reason)
            return status, reason
        browser.received.append(json.loads(browser.decrypt(body)))
        return 201, ""

    def _check(self, browser: TestBrowser, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        if len(body) > 4096:
            return 413, "PayloadTooLarge"
        if not headers.get("ttl", "").isdigit():
            return 400, "BadTtl"
        if headers.get("urgency") not in {"very-low", "low", "normal", "high"}:
            return 400, "BadUrgency"
        topic = headers.get("topic", "")
        if not 0 < len(topic) <= 32 or not set(topic) <= TOPIC_LETTERS:
            return 400, "BadTopic"
        if headers.get("content-encoding") != "aes128gcm":
            return 400, "BadContentEncoding"
        return self._check_signature(browser, headers.get("authorization", ""))

    def _check_signature(self, browser: TestBrowser, authorization: str) -> tuple[int, str]:
        if not authorization.startswith("vapid t=") or not Vapid02.verify(authorization.replace(", ", ",")):
            return 403, "BadJwtToken"
        token, _, public_key = authorization.removeprefix("vapid t=").partition(", k=")
        header, claims = (json.loads(decode(part)) for part in token.split(".")[:2])
        if header != {"typ": "JWT", "alg": "ES256"} or claims["aud"] != self.origin:
            return 403, "BadJwtToken"
        if not time.time() < claims["exp"] <= time.time() + 24 * 3600:
            return 403, "BadJwtToken"
        contact = urlsplit(claims["sub"])
        is_real = contact.scheme == "https" or (contact.scheme == "mailto" and not contact.path.endswith("@localhost"))
        if not is_real:
            return 403, "BadJwtToken"
        if browser.application_key is not None and public_key != browser.application_key:
            return 400, "VapidPkHashMismatch"
        return 201, ""


@contextmanager
def push_service() -> Iterator[PushService]:
    """Run a push service for the length of a block."""
    service = PushService()
    yield service
    service.server.shutdown()
    service.server.server_close()
