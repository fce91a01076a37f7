"""Sends one event to one address of a stranger, signed as Standard Webhooks 1.0.0 says.

One attempt only. When to try again, and when to give an endpoint up, is decided where deliveries are remembered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from platforms.errors import PlatformError
from platforms.http import address_guard, client
from platforms.http.address_guard import AddressRefused

CONNECT_TIMEOUT_S = 5.0
DEADLINE_S = 15.0  # the spec asks for 15 to 30
BODY_CAP_BYTES = 65_536
EXCERPT_BYTES = 1024  # shown to the endpoint's owner; answers may leak what is inside their network
SECRET_BYTES = (24, 64)
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix is public


class Unreachable(PlatformError):
    """No answer came.

    Attributes:
        sent: whether the event may have arrived all the same.
        duration_ms: how long we tried.
    """

    def __init__(self, code: str, detail: str, *, sent: bool, duration_ms: int) -> None:
        super().__init__(code, detail)
        self.sent = sent
        self.duration_ms = duration_ms


@dataclass(frozen=True)
class Answer:
    """What the receiver said.

    Attributes:
        retry_after_s: what it asked for; None when it did not, or not legibly; at most a day.
        excerpt: the first kilobyte of its answer, as text; for the endpoint's owner only.
    """

    status: int
    duration_ms: int
    retry_after_s: float | None
    excerpt: str = field(repr=False)

    @property
    def accepted(self) -> bool:
        """Whether the receiver took the event: 2xx and nothing else, by the spec."""
        return 200 <= self.status < 300


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature for each secret, so that a receiver may change its secret.

    Args:
        secrets: "whsec_" + base64 of 24 to 64 bytes; newest first.
        message_id: stays the same over all attempts; without dots.
        timestamp: Unix seconds of this attempt.

    Raises:
        ValueError: no secret, a malformed one, or a dot in the id, which would let one event pass for another.
    """
    if not secrets or "." in message_id:
        raise ValueError("a signature needs a secret and an id without dots")
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digests = (hmac.digest(_key(secret), signed, hashlib.sha256) for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret is whsec_ and base64") from None
    if not SECRET_BYTES[0] <= len(key) <= SECRET_BYTES[1]:
        raise ValueError("a webhook secret holds 24 to 64 bytes")
    return key


def deliver(
    url: str,
    *,
    message_id: str,
    timestamp: int,
    body: bytes,
    secrets: Sequence[str],
    allow_private: bool,
    own_hosts: frozenset[str] = frozenset(),
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """Make one attempt to hand over an event.

    Args:
        body: the JSON, exactly as it is signed.
        allow_private: see `guard.check`, which judges the address anew at each attempt.

    Raises:
        AddressRefused: the address may not be called; no attempt was made.
        Unreachable: no answer.
    """
    started = time.monotonic()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }
    try:
        target = address_guard.check(url, allow_private=allow_private, own_hosts=own_hosts)
        reply = client.request(
            "POST",
            url,
            headers=headers,
            body=body,
            deadline_s=deadline_s,
            timeout_s=(min(CONNECT_TIMEOUT_S, deadline_s), deadline_s),
            body_cap=BODY_CAP_BYTES,
            addresses=target.addresses,
        )
    except (address_guard.NameUnknown, client.WireError) as error:
        raise _unreachable(error, _since_ms(started)) from error
    excerpt = reply.body[:EXCERPT_BYTES].decode("utf-8", "replace").replace("\0", "�")
    return Answer(reply.status, _since_ms(started), reply.retry_after_s, excerpt)


def _unreachable(error: Exception, duration_ms: int) -> Unreachable:
    if isinstance(error, address_guard.NameUnknown):
        return Unreachable(error.code, error.detail, sent=False, duration_ms=duration_ms)
    if isinstance(error, client.NeverSent):
        return Unreachable("no_connection", f"no connection ({error})", sent=False, duration_ms=duration_ms)
    return Unreachable("no_answer", f"no answer ({error})", sent=True, duration_ms=duration_ms)


def _since_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


__all__ = ["AddressRefused", "Answer", "Unreachable", "deliver", "sign"]
