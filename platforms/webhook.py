"""Delivery of one event to one webhook endpoint, signed as Standard Webhooks 1.0.0 requires.

One call is one attempt. Retries, and the end of retries, are decided by the actor that stores the deliveries.
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
DEADLINE_S = 15.0  # the specification recommends 15 to 30
BODY_DEADLINE_S = 2.0  # the status has come; a body that stalls must not hold a thread for long
EXCERPT_BYTES = 1024  # shown to the endpoint's owner only: a response may reveal details of their network
SECRET_BYTES = (24, 64)
_SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix is public


class Unreachable(PlatformError):
    """The attempt got no response.

    Attributes:
        sent: whether the event may have arrived all the same.
        duration_ms: of the attempt.
    """

    def __init__(self, code: str, detail: str, *, sent: bool, duration_ms: int) -> None:
        super().__init__(code, detail)
        self.sent = sent
        self.duration_ms = duration_ms


@dataclass(frozen=True)
class WebhookResponse:
    """The receiver's response.

    Attributes:
        retry_after_s: from Retry-After, at most a day; None when missing or malformed.
        excerpt: the first kilobyte of the body, as text; for the endpoint's owner only.
    """

    status: int
    duration_ms: int
    retry_after_s: float | None
    excerpt: str = field(repr=False)

    @property
    def accepted(self) -> bool:
        """Return whether the receiver accepted the event: by the specification, 2xx and nothing else."""
        return 200 <= self.status < 300


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature for each secret, so that a secret can be replaced.

    Args:
        secrets: "whsec_" + base64 of 24 to 64 bytes; newest first.
        message_id: the same at all attempts; without dots.
        timestamp: Unix seconds of this attempt.

    Raises:
        ValueError: no secret, a malformed one, or a dot in the id, which would make two events indistinguishable.
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
) -> WebhookResponse:
    """Make one attempt to deliver an event.

    Args:
        body: the JSON, exactly as it is signed.
        allow_private: see `address_guard.check`, which checks the address again at each attempt.

    Raises:
        AddressRefused: the address must not be called; nothing was sent.
        Unreachable: no response came.
    """
    started = time.monotonic()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }
    try:
        checked = address_guard.check(url, allow_private=allow_private, own_hosts=own_hosts)
        response = client.request(
            "POST",
            url,
            headers=headers,
            body=body,
            deadline_s=deadline_s,
            timeout_s=(min(CONNECT_TIMEOUT_S, deadline_s), deadline_s),
            body_cap=EXCERPT_BYTES,
            body_deadline_s=BODY_DEADLINE_S,
            addresses=checked.addresses,
        )
    except (address_guard.NameUnknown, client.TransportError) as error:
        raise _unreachable(error, _elapsed_ms(started)) from error
    excerpt = response.body[:EXCERPT_BYTES].decode("utf-8", "replace").replace("\0", "�")
    return WebhookResponse(response.status, _elapsed_ms(started), response.retry_after_s, excerpt)


def _unreachable(error: address_guard.NameUnknown | client.TransportError, duration_ms: int) -> Unreachable:
    if isinstance(error, address_guard.NameUnknown):
        return Unreachable(error.code, error.detail, sent=False, duration_ms=duration_ms)
    failure, sent = error.failure, not isinstance(error, client.NeverSent)
    return Unreachable(failure.code, failure.detail, sent=sent, duration_ms=duration_ms)


def _elapsed_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


__all__ = ["AddressRefused", "Unreachable", "WebhookResponse", "deliver", "sign"]
