"""Webhook delivery, checked by the reference package of Standard Webhooks and by the mock's own check."""

from __future__ import annotations

import base64
import json
import os
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from platforms.mock.webhook_receiver import verify
from platforms.webhook import Unreachable, deliver, sign
from tests.platforms.loopback import answering, server
from tests.platforms.mock_server import MockServer

OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
NEW = "whsec_" + base64.b64encode(os.urandom(32)).decode()
BODY = json.dumps({"type": "segment.ready", "data": {"title": "Über Blicke"}}).encode()


def headers(signature: str, timestamp: int, message_id: str = "msg_1") -> dict[str, str]:
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_reference_package_verifies_our_signatures() -> None:
    """Either secret verifies while one replaces the other."""
    now = int(time.time())
    signature = sign([NEW, OLD], "msg_1", now, BODY)

    for secret in (NEW, OLD):
        assert Webhook(secret).verify(BODY, headers(signature, now)) == json.loads(BODY)
    assert Webhook(NEW).sign("msg_1", datetime.fromtimestamp(now, UTC), BODY.decode()) == signature.split(" ")[0]


def test_any_change_is_detected() -> None:
    """A changed body, id, time or secret is detected."""
    now = int(time.time())
    signature = sign([NEW], "msg_1", now, BODY)

    for changed, signed in [
        (BODY + b" ", headers(signature, now)),
        (BODY, headers(signature, now, "msg_2")),
        (BODY, headers(signature, now + 1)),
        (BODY, headers(sign([OLD], "msg_1", now, BODY), now)),
        (BODY, headers(sign([NEW], "msg_1", now - 301, BODY), now - 301)),
    ]:
        with pytest.raises(WebhookVerificationError):
            Webhook(NEW).verify(changed, signed)
        assert verify([NEW], signed, changed, now) != ""


@given(
    body=st.binary(max_size=200), timestamp=st.integers(1, 4_000_000_000), secret=st.binary(min_size=24, max_size=64)
)
def test_sender_and_mock_agree_without_shared_code(body: bytes, timestamp: int, secret: bytes) -> None:
    """The two implementations agree for any body, time and secret."""
    key = "whsec_" + base64.b64encode(secret).decode()
    signed = headers(sign([key], "msg_1", timestamp, body), timestamp)

    assert verify([key], signed, body, timestamp) == ""
    assert verify([key], signed, body + b"x", timestamp) != ""


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_!!!", "whsec_" + base64.b64encode(b"x" * 65).decode()]
)
def test_a_weak_or_broken_secret_is_refused(secret: str) -> None:
    """The error does not quote the secret."""
    with pytest.raises(ValueError, match="secret") as caught:
        sign([secret], "msg_1", 1, b"{}")
    assert len(secret) < 8 or secret not in str(caught.value)


def test_a_dot_in_the_id_is_refused() -> None:
    """Otherwise the signed content of two events could be equal."""
    with pytest.raises(ValueError, match="dots"):
        sign([NEW], "msg_1.2", 1, b"{}")
    with pytest.raises(ValueError, match="needs a secret"):
        sign([], "msg_1", 1, b"{}")


def attempt(url: str, secrets: tuple[str, ...] = (NEW,), **more: float) -> object:
    now = int(time.time())
    return deliver(url, message_id="msg_1", timestamp=now, body=BODY, secrets=secrets, allow_private=True, **more)  # type: ignore[arg-type]  # only deadline_s


def test_the_mock_accepts_events_signed_with_a_known_secret(mock: MockServer) -> None:
    """The mock stores the event with the result of its check."""
    mock.post("/mock/webhook-secret", {"secret": NEW})

    answer = attempt(f"{mock.base}/webhooks/receive")
    refused = attempt(f"{mock.base}/webhooks/receive", (OLD,))

    assert (answer.status, answer.accepted) == (200, True)  # type: ignore[attr-defined]
    assert (refused.status, refused.accepted) == (401, False)  # type: ignore[attr-defined]
    stored = mock.get("/mock/webhooks")[-2:]
    assert [one["verified"] for one in stored] == [True, False]
    assert stored[0]["event"] == json.loads(BODY)


@pytest.mark.parametrize(
    ("status", "accepted"), [("204 No Content", True), ("302 Found", False), ("410 Gone", False), ("503 Down", False)]
)
def test_only_2xx_is_acceptance(status: str, accepted: bool) -> None:
    """By the specification, a redirect is a failure."""
    with server(answering(status, b"", "Location: http://127.0.0.1:1/", "Retry-After: 9")) as (base, first_blocks):
        answer = attempt(base)
    assert answer.accepted == accepted  # type: ignore[attr-defined]
    assert answer.retry_after_s == 9.0  # type: ignore[attr-defined]
    assert len(first_blocks) == 1


def test_the_excerpt_is_one_kilobyte_of_the_response() -> None:
    """The excerpt is text, whatever the body is."""
    with server(answering("500 Oops", b"\xff\0" + b"x" * 5000)) as (base, _):
        answer = attempt(base)
    assert len(answer.excerpt) == 1024  # type: ignore[attr-defined]
    assert "\0" not in answer.excerpt  # type: ignore[attr-defined]
    assert "xxx" not in repr(answer)


def test_an_error_says_whether_the_event_may_have_arrived() -> None:
    """Without a connection it did not; after a lost response it may have."""
    with pytest.raises(Unreachable) as refused:
        attempt("http://127.0.0.1:1/")
    with server(lambda connection, _first: time.sleep(3)) as (base, _), pytest.raises(Unreachable) as silent:
        attempt(base, deadline_s=0.3)

    assert (refused.value.code, refused.value.sent) == ("refused", False)
    assert (silent.value.code, silent.value.sent) == ("answer_timeout", True)
    assert 250 < silent.value.duration_ms < 3000
