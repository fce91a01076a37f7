"""Delivery of one message to one browser by web push: RFC 8030, encrypted (RFC 8291) and signed (VAPID, RFC 8292).

One call is one attempt. Retries, and the end of retries, are decided by the actor that stores the deliveries.

Encryption and signature are in `platforms.push_encryption`, which is imported with the first message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from platforms.http import address_guard, client

CONNECT_TIMEOUT_S = 5.0
DEADLINE_S = 15.0
EXCERPT_BYTES = 300
SLOW_DOWN = {429, 503}
GONE = {404, 410}  # RFC 8030, section 7.3: the subscription has expired or was ended

Urgency = Literal["very-low", "low", "normal", "high"]  # RFC 8030, section 5.3


@dataclass(frozen=True)
class PushAddress:
    """The address and the keys of a subscription, as the browser gives them to the page.

    Attributes:
        endpoint: URL at the push service.
        p256dh: public key of the browser; base64url.
        auth: secret of the browser; base64url.
    """

    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


@dataclass(frozen=True)
class SigningKey:
    """The key pair of this server, and its contact address.

    Attributes:
        public_key: uncompressed point; base64url.
        private_key: scalar; base64url.
        contact: "mailto:" or "https:" address, at which a push service reaches the operator.
    """

    public_key: str
    private_key: str = field(repr=False)
    contact: str


@dataclass(frozen=True)
class PushMessage:
    """A message.

    Attributes:
        payload: at most `MAX_PAYLOAD_BYTES` of `platforms.push_encryption`.
        ttl_s: for so long a browser that is offline gets it later.
        topic: replaces a message with the same topic that has not arrived; at most 32 characters of base64url.
    """

    payload: bytes = field(repr=False)
    ttl_s: int
    urgency: Urgency
    topic: str


@dataclass(frozen=True)
class PushOutcome:
    """The outcome of one attempt.

    Attributes:
        error: None if the push service has accepted the message.
        is_gone: the subscription does not exist any more.
        is_final: another attempt would fail, too.
        retry_after_s: time that the push service asks for; 0 is nothing.
    """

    error: str | None = None
    is_gone: bool = False
    is_final: bool = False
    retry_after_s: float = 0.0


def deliver(
    address: PushAddress,
    message: PushMessage,
    key: SigningKey,
    *,
    now_s: float,
    allow_private: bool,
    own_hosts: frozenset[str] = frozenset(),
    deadline_s: float = DEADLINE_S,
) -> PushOutcome:
    """Make one attempt to deliver a message; every failure is an outcome.

    Args:
        now_s: Unix seconds.
        allow_private: see `address_guard.check`, which checks the address again at each attempt.
    """
    from platforms.push_encryption import authorization, encrypt  # noqa: PLC0415 (0.7 MB, of which the API needs none)

    try:
        body = encrypt(message.payload, address)
        checked = address_guard.check(address.endpoint, allow_private=allow_private, own_hosts=own_hosts)
        response = client.request(
            "POST",
            address.endpoint,
            headers={
                "Authorization": authorization(address.endpoint, key, now_s),
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(message.ttl_s),
                "Urgency": message.urgency,
                "Topic": message.topic,
            },
            body=body,
            deadline_s=deadline_s,
            timeout_s=(min(CONNECT_TIMEOUT_S, deadline_s), deadline_s),
            body_cap=EXCERPT_BYTES,
            body_deadline_s=2.0,
            addresses=checked.addresses,
        )
    except address_guard.NameUnknown as error:
        return PushOutcome(error.detail)
    except client.TransportError as error:
        return PushOutcome(error.failure.detail)
    except (address_guard.AddressRefused, ValueError) as error:
        return PushOutcome(str(error), is_final=True)
    return _outcome(response, key)


def _outcome(response: client.Response, key: SigningKey) -> PushOutcome:
    status = response.status
    if 200 <= status < 300:
        return PushOutcome()
    text = f"HTTP {status}{_excerpt(response.body)}"
    if status in GONE:
        return PushOutcome(text, is_gone=True, is_final=True)
    if status in SLOW_DOWN or status >= 500:
        return PushOutcome(text, retry_after_s=response.retry_after_s or 0.0)
    if status in {401, 403}:
        # Apple's service refuses contacts that cannot be real, such as mailto:a@localhost; others do not look at them.
        text += f"; if the push service refuses the contact {key.contact}, set NOTICE_EMAIL"
    return PushOutcome(text, is_final=True)


def _excerpt(body: bytes) -> str:
    """Return the printable characters of a response's body, for the operator."""
    text = body[:EXCERPT_BYTES].decode("utf-8", "replace")
    readable = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return f": {readable}" if readable else ""
