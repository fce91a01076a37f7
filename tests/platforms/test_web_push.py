"""Web push: the example of RFC 8291, independent implementations, a strict push service, and its refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from py_vapid import Vapid02

from platforms import push_encryption, web_push
from platforms.push_encryption import MAX_PAYLOAD_BYTES
from platforms.web_push import PushAddress, PushMessage, PushOutcome, SigningKey
from tests.platforms.loopback import answering, server
from tests.support.push_service import PushService, TestBrowser, decode, push_service

KEY = SigningKey(*push_encryption.generate_key(), contact="https://video.example.com")
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"  # of the RFC
MESSAGE = PushMessage(b'{"web_push":8030}', ttl_s=60, urgency="high", topic="a" * 32)


@pytest.fixture
def service() -> Iterator[PushService]:
    with push_service() as made:
        yield made


def _address(browser: TestBrowser) -> PushAddress:
    keys = browser.subscription["keys"]
    return PushAddress(browser.endpoint, keys["p256dh"], keys["auth"])


def _send(address: PushAddress, key: SigningKey = KEY, deadline_s: float = 15.0) -> PushOutcome:
    return web_push.deliver(
        address, MESSAGE, key, now_s=time.time(), allow_private=True, deadline_s=deadline_s
    )  # fmt: skip


def test_the_example_of_the_rfc_is_reproduced() -> None:
    """RFC 8291, section 5 and appendix A."""
    sender = ec.derive_private_key(
        int.from_bytes(decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    address = PushAddress(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        POINT,
        "BTBZMqHH6r4Tts7J_aSIgg",
    )
    text = b"When I grow up, I want to be a watermelon"
    encrypted = push_encryption.encrypt_with(text, address, salt=decode("DGv6ra1nlYgDCS1FRnbzlw"), sender=sender)
    assert encrypted == decode(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@given(st.binary(max_size=MAX_PAYLOAD_BYTES))
def test_another_implementation_decrypts_what_we_encrypt(payload: bytes) -> None:
    browser = TestBrowser("https://push.example.net/1")
    assert browser.decrypt(push_encryption.encrypt(payload, _address(browser))) == payload


def test_the_longest_payload_fits_into_the_body_that_every_push_service_takes() -> None:
    """4,096 bytes, with header, end mark and tag."""
    browser = TestBrowser("https://push.example.net/1")
    longest = bytes(MAX_PAYLOAD_BYTES)
    assert len(push_encryption.encrypt(longest, _address(browser))) == 4096
    with pytest.raises(ValueError, match="more than 3993 bytes"):
        push_encryption.encrypt(longest + b"x", _address(browser))


def test_two_messages_share_no_key() -> None:
    browser = TestBrowser("https://push.example.net/1")
    first, second = (push_encryption.encrypt(b"same", _address(browser)) for _ in range(2))
    assert first[:16] != second[:16]
    assert first[21:86] != second[21:86]


def test_another_browser_cannot_read_a_message() -> None:
    first, second = TestBrowser("https://push.example.net/1"), TestBrowser("https://push.example.net/2")
    with pytest.raises(http_ece.ECEException):
        second.decrypt(push_encryption.encrypt(b"secret", _address(first)))


def test_a_strict_push_service_accepts_a_message(service: PushService) -> None:
    browser = service.browser(KEY.public_key)
    assert _send(_address(browser)) == PushOutcome()
    assert browser.received == [{"web_push": 8030}]
    headers = service.requests[0]
    assert (headers["ttl"], headers["urgency"], headers["topic"]) == ("60", "high", "a" * 32)
    assert "cookie" not in headers


def test_the_signature_is_for_one_push_service_and_half_a_day() -> None:
    header = push_encryption.authorization("https://push.example.net:8443/a?b", KEY, now_s=1000.0)
    assert Vapid02.verify(header.replace(", ", ","))
    claims = decode(header.split(".")[1]).decode()
    assert claims == '{"aud":"https://push.example.net:8443","exp":44200,"sub":"https://video.example.com"}'


def test_a_refused_contact_is_explained(service: PushService) -> None:
    """Apple's service answers 403 BadJwtToken to mailto:x@localhost; others accept it."""
    key = SigningKey(KEY.public_key, KEY.private_key, "mailto:vidprod@localhost")
    outcome = _send(_address(service.browser()), key=key)
    assert (outcome.is_final, outcome.is_gone) == (True, False)
    assert "BadJwtToken" in (outcome.error or "")
    assert "mailto:vidprod@localhost, set NOTICE_EMAIL" in (outcome.error or "")


def test_a_subscription_for_another_key_is_refused_for_good(service: PushService) -> None:
    outcome = _send(_address(service.browser(push_encryption.generate_key()[0])))
    assert (outcome.is_final, outcome.is_gone) == (True, False)
    assert outcome.error == 'HTTP 400: {"reason": "VapidPkHashMismatch"}'


@pytest.mark.parametrize(
    ("status", "gone", "final"),
    [
        ("404 Not Found", True, True),
        ("410 Gone", True, True),
        ("400 Bad Request", False, True),
        ("401 Unauthorized", False, True),
        ("403 Forbidden", False, True),
        ("413 Too Large", False, True),
        ("301 Moved", False, True),
        ("429 Too Many", False, False),
        ("500 Oops", False, False),
        ("503 Down", False, False),
    ],
)
def test_each_answer_is_classed(status: str, gone: bool, final: bool) -> None:
    with server(answering(status, b"", "Retry-After: 42", "Location: http://127.0.0.1:1/")) as (base, first_blocks):
        outcome = _send(_address(TestBrowser(base)))
    assert (outcome.is_gone, outcome.is_final) == (gone, final)
    assert outcome.retry_after_s == (0.0 if final else 42.0)
    assert (outcome.error or "").startswith(f"HTTP {status[:3]}")
    assert len(first_blocks) == 1


def test_no_answer_is_no_reason_to_give_up() -> None:
    for url in ("http://127.0.0.1:1/", "https://name.invalid/"):
        outcome = _send(_address(TestBrowser(url)))
        assert (outcome.is_final, outcome.error is None) == (False, False)
    with server(lambda connection, _first: time.sleep(3)) as (base, _):
        assert _send(_address(TestBrowser(base)), deadline_s=0.3).error == "no answer in time"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/push",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.1.5/",
        "https://[::1]/",
        "https://localhost/",
        "https://internal.local/",
        "http://push.example.net/",
        "https://user:pw@push.example.net/",
        "https://video.example.com/notices",
    ],
)
def test_nothing_is_sent_to_an_address_inside_or_to_ourselves(url: str) -> None:
    outcome = web_push.deliver(
        _address(TestBrowser(url)), MESSAGE, KEY, now_s=time.time(), allow_private=False,
        own_hosts=frozenset({"video.example.com"}),
    )  # fmt: skip
    assert outcome.is_final
    assert not outcome.is_gone


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", "AAAAAAAAAAAAAAAAAAAAAA"),
        ("B" * 86, "AAAAAAAAAAAAAAAAAAAAAA"),
        ("B" * 87, "AAAAAAAAAAAAAAAAAAAAAA"),
        (POINT, "AAAA"),
        (POINT, "not base64 at all!!!!!"),
        (POINT + "ü", "AAAAAAAAAAAAAAAAAAAAAA"),
    ],
)
def test_malformed_keys_are_found_before_they_are_used(p256dh: str, auth: str) -> None:
    with pytest.raises(ValueError, match=r"must be|base64url"):
        push_encryption.check_keys(p256dh, auth)
    assert _send(PushAddress("http://127.0.0.1:1/", p256dh, auth)).is_final


def test_well_formed_keys_pass_with_and_without_padding() -> None:
    push_encryption.check_keys(POINT, "AAAAAAAAAAAAAAAAAAAAAA")
    push_encryption.check_keys(POINT + "=", "AAAAAAAAAAAAAAAAAAAAAA==")


def test_no_secret_is_shown() -> None:
    address = PushAddress("https://push.example.net/capability", "p", "a")
    assert "capability" not in repr(address)
    assert KEY.private_key not in repr(KEY)
    assert "payload" not in repr(MESSAGE)
