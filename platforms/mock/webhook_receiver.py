"""A webhook receiver with its own check of signatures, written from the text of Standard Webhooks 1.0.0.

It shares no code with the sender, so that a mistake there is not repeated here.
"""

# ruff: noqa: ARG002 - falcon hands every responder the request, the answer and all fields of the path

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import falcon

from platforms.mock.state import MockState
from platforms.mock.storage import Record, new_id

TOLERANCE_S = 300


def add_routes(app: falcon.App[Any, Any], state: MockState) -> None:  # Any: falcon's own request and response types
    """Add the paths of the receiver, its list of events and its secrets."""
    app.add_route("/webhooks/receive", WebhookEndpoint(state))
    app.add_route("/mock/webhooks", ReceivedWebhooks(state))
    app.add_route("/mock/webhook-secret", WebhookSecrets(state))


class WebhookSecrets:
    """The known secrets; several are valid while one is being replaced."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Add a secret: {"secret": "whsec_…"}."""
        secret = str(req.get_media().get("secret", ""))
        if not secret.startswith("whsec_"):
            raise falcon.HTTPBadRequest(description="secret must begin with whsec_")
        with self._state.storage.lock:
            known = _secrets(self._state)
            self._state.storage.put("hooks", "secrets", {"secrets": [*[one for one in known if one != secret], secret]})
        resp.media = {"known": len(_secrets(self._state))}


class ReceivedWebhooks:
    """The events received so far."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List them, the oldest first."""
        resp.media = [record for _, record in self._state.storage.records("webhooks")]


class WebhookEndpoint:
    """The endpoint for senders."""

    def __init__(self, state: MockState) -> None:
        self._state = state

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Store the event; respond with 401 when secrets are known and no signature matches."""
        body = req.bounded_stream.read()
        name = req.get_header("webhook-id") or ""
        refusal = verify(_secrets(self._state), req.headers, body, time.time())
        record = {
            "id": name,
            "timestamp": req.get_header("webhook-timestamp"),
            "received_at": time.time(),
            "verified": refusal == "",
            "reason": refusal or None,
            "event": _parsed(body),
        }
        self._state.storage.put("webhooks", f"{time.time_ns():020d}-{new_id()[:8]}", record)
        if refusal and refusal != "no secret known":
            resp.status = 401
        resp.media = {"verified": refusal == "", "reason": refusal or None}


def verify(secrets: list[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Return why a message is not authentic; an empty text when it is."""
    lower_case = {name.lower(): value for name, value in headers.items()}
    name, stamp = lower_case.get("webhook-id", ""), lower_case.get("webhook-timestamp", "")
    signatures = [one[3:] for one in lower_case.get("webhook-signature", "").split(" ") if one.startswith("v1,")]
    if not name or not stamp.isascii() or not stamp.isdigit() or not signatures:
        return "headers are missing"
    if abs(now - int(stamp)) > TOLERANCE_S:
        return "the timestamp is too old or too new"
    if not secrets:
        return "no secret known"
    content = name.encode("latin-1") + b"." + stamp.encode() + b"." + body
    for secret in secrets:
        mac = hmac.new(base64.b64decode(secret[6:]), content, hashlib.sha256).digest()
        if any(hmac.compare_digest(base64.b64encode(mac), one.encode("latin-1")) for one in signatures):
            return ""
    return "no signature matches"


def _secrets(state: MockState) -> list[str]:
    record: Record = state.storage.get("hooks", "secrets") or {"secrets": []}
    return list(record["secrets"])


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
