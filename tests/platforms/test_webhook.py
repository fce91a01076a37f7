"""Events handed over as Standard Webhooks says, checked by the reference package and by the mock's own reading."""

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
    """With either secret while one replaces the other."""
    now = int(time.time())
    signature = sign([NEW, OLD], "msg_1", now, BODY)

    for secret in (NEW, OLD):
        assert Webhook(secret).verify(BODY, headers(signature, now)) == json.loads(BODY)
    assert Webhook(NEW).sign("msg_1", datetime.fromtimestamp(now, UTC), BODY.decode()) == signature.split(" ")[0]


def test_anything_changed_is_noticed() -> None:
    """Body, id, time, secret."""
    now = int(time.time())
    signature = sign([NEW], "msg_1", now, BODY)

    for changed, told in [
        (BODY + b" ", headers(signature, now)),
        (BODY, headers(signature, now, "msg_2")),
        (BODY, headers(signature, now + 1)),
        (BODY, headers(sign([OLD], "msg_1", now, BODY), now)),
        (BODY, headers(sign([NEW], "msg_1", now - 301, BODY), now - 301)),
    ]:
        with pytest.raises(WebhookVerificationError):
            Webhook(NEW).verify(changed, told)
        assert verify([NEW], told, changed, now) != ""


@given(
    body=st.binary(max_size=200), timestamp=st.integers(1, 4_000_000_000), secret=st.binary(min_size=24, max_size=64)
)
def test_sender_and_mock_agree_without_sharing_a_line(body: bytes, timestamp: int, secret: bytes) -> None:
    """Any body, any time, any secret."""
    key = "whsec_" + base64.b64encode(secret).decode()
    told = headers(sign([key], "msg_1", timestamp, body), timestamp)

    assert verify([key], told, body, timestamp) == ""
    assert verify([key], told, body + b"x", timestamp) != ""


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_!!!", "whsec_" + base64.b64encode(b"x" * 65).decode()]
)
def test_a_weak_or_broken_secret_is_refused(secret: str) -> None:
    """And is not repeated in the error."""
    with pytest.raises(ValueError, match="secret") as caught:
        sign([secret], "msg_1", 1, b"{}")
    assert len(secret) < 8 or secret not in str(caught.value)


def test_a_dot_in_the_id_is_refused() -> None:
    """Or one event could be made to look like another."""
    with pytest.raises(ValueError, match="dots"):
        sign([NEW], "msg_1.2", 1, b"{}")
    with pytest.raises(ValueError, match="needs a secret"):
        sign([], "msg_1", 1, b"{}")


def attempt(url: str, secrets: tuple[str, ...] = (NEW,), **more: float) -> object:
    now = int(time.time())
    return deliver(url, message_id="msg_1", timestamp=now, body=BODY, secrets=secrets, allow_private=True, **more)  # type: ignore[arg-type]  # only deadline_s


def test_the_mock_takes_what_is_signed_with_a_secret_that_it_knows(mock: MockServer) -> None:
    """And keeps it for everyone to see."""
    mock.post("/mock/webhook-secret", {"secret": NEW})

    answer = attempt(f"{mock.base}/webhooks/receive")
    refused = attempt(f"{mock.base}/webhooks/receive", (OLD,))

    assert (answer.status, answer.accepted) == (200, True)  # type: ignore[attr-defined]
    assert (refused.status, refused.accepted) == (401, False)  # type: ignore[attr-defined]
    kept = mock.get("/mock/webhooks")[-2:]
    assert [one["verified"] for one in kept] == [True, False]
    assert kept[0]["event"] == json.loads(BODY)


@pytest.mark.parametrize(
    ("status", "accepted"), [("204 No Content", True), ("302 Found", False), ("410 Gone", False), ("503 Down", False)]
)
def test_only_2xx_is_acceptance(status: str, accepted: bool) -> None:
    """A redirect is a failure, by the spec."""
    with server(answering(status, b"", "Location: http://127.0.0.1:1/", "Retry-After: 9")) as (base, heard):
        answer = attempt(base)
    assert answer.accepted == accepted  # type: ignore[attr-defined]
    assert answer.retry_after_s == 9.0  # type: ignore[attr-defined]
    assert len(heard) == 1


def test_of_the_answer_one_kilobyte_is_kept() -> None:
    """For the endpoint's owner; as text, whatever it was."""
    with server(answering("500 Oops", b"\xff\0" + b"x" * 5000)) as (base, _):
        answer = attempt(base)
    assert len(answer.excerpt) == 1024  # type: ignore[attr-defined]
    assert "\0" not in answer.excerpt  # type: ignore[attr-defined]
    assert "xxx" not in repr(answer)


def test_no_answer_says_whether_the_event_may_have_arrived() -> None:
    """Nobody there: it did not. Silence after sending: it may have."""
    with pytest.raises(Unreachable) as nobody:
        attempt("http://127.0.0.1:1/")
    with server(lambda connection, _first: time.sleep(3)) as (base, _), pytest.raises(Unreachable) as silence:
        attempt(base, deadline_s=0.3)

    assert (nobody.value.code, nobody.value.sent) == ("no_connection", False)
    assert (silence.value.code, silence.value.sent) == ("no_answer", True)
    assert 250 < silence.value.duration_ms < 3000
