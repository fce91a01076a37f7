"""A receiver of webhooks that trusts nobody: it checks signatures by its own reading of Standard Webhooks 1.0.0.

It shares no line with the sender, so that a mistake there is not repeated here.
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

from platforms.mock.shelf import Record, new_id
from platforms.mock.world import World

TOLERANCE_S = 300


def add_routes(app: falcon.App[Any, Any], world: World) -> None:  # Any: falcon's own request and response types
    """Add the receiver, its list, and the way to tell it the secret."""
    app.add_route("/webhooks/receive", Receive(world))
    app.add_route("/mock/webhooks", Received(world))
    app.add_route("/mock/webhook-secret", Secret(world))


class Secret:
    """The secrets that the receiver knows; several may be valid while one is being changed."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take another: {"secret": "whsec_…"}."""
        secret = str(req.get_media().get("secret", ""))
        if not secret.startswith("whsec_"):
            raise falcon.HTTPBadRequest(description="secret must begin with whsec_")
        with self._world.shelf.lock:
            known = _secrets(self._world)
            self._world.shelf.put("hooks", "secrets", {"secrets": [*[one for one in known if one != secret], secret]})
        resp.media = {"known": len(_secrets(self._world))}


class Received:
    """What has come."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List it, oldest first."""
        resp.media = [record for _, record in self._world.shelf.all("webhooks")]


class Receive:
    """The address to give to a sender."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Keep the event; answer 401 when a secret is known and no signature fits."""
        body = req.bounded_stream.read()
        name = req.get_header("webhook-id") or ""
        verdict = judge(_secrets(self._world), req.headers, body, time.time())
        record = {
            "id": name,
            "timestamp": req.get_header("webhook-timestamp"),
            "received_at": time.time(),
            "verified": verdict == "",
            "reason": verdict or None,
            "event": _parsed(body),
        }
        self._world.shelf.put("webhooks", f"{time.time_ns():020d}-{new_id()[:8]}", record)
        if verdict and verdict != "no secret known":
            resp.status = 401
        resp.media = {"verified": verdict == "", "reason": verdict or None}


def judge(secrets: list[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Return why a message cannot be trusted; an empty text when it can."""
    told = {name.lower(): value for name, value in headers.items()}
    name, stamp = told.get("webhook-id", ""), told.get("webhook-timestamp", "")
    signatures = [one[3:] for one in told.get("webhook-signature", "").split(" ") if one.startswith("v1,")]
    if not name or not stamp.isascii() or not stamp.isdigit() or not signatures:
        return "headers are missing"
    if abs(now - int(stamp)) > TOLERANCE_S:
        return "too old or too new"
    if not secrets:
        return "no secret known"
    content = name.encode("latin-1") + b"." + stamp.encode() + b"." + body
    for secret in secrets:
        mac = hmac.new(base64.b64decode(secret[6:]), content, hashlib.sha256).digest()
        if any(hmac.compare_digest(base64.b64encode(mac), one.encode("latin-1")) for one in signatures):
            return ""
    return "no signature fits"


def _secrets(world: World) -> list[str]:
    record: Record = world.shelf.get("hooks", "secrets") or {"secrets": []}
    return list(record["secrets"])


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
