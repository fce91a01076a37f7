"""Secrets are removed from texts, in every form in which they may appear; sentences stay readable."""

from __future__ import annotations

import base64
import html
import json
import re
import time
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable

import pytest

import redaction
from redaction import REDACTED, redact

SECRET = 's3cret/with+every"kind=of&character'


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_values", OrderedDict())
    monkeypatch.setattr(redaction, "_forms", ())
    redaction.add([SECRET])


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        repr(SECRET),
        json.dumps({"a": SECRET}),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        urllib.parse.urlencode({"x": SECRET}),
    ],
)
def test_a_known_value_is_found_in_each_form(form: str) -> None:
    assert "s3cret" not in redact(f"before {form} after")
    assert redact(f"before {form} after").startswith("before ")


@pytest.mark.parametrize(
    "form",
    [
        repr,
        json.dumps,
        lambda value: json.dumps(value, ensure_ascii=False),
        html.escape,
        lambda value: repr(value.encode()),
        lambda value: re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(value, safe="")),
    ],
    ids=["Python", "JSON", "JSON in UTF-8", "HTML", "bytes", "percent-encoded in lower case"],
)
def test_a_value_of_any_characters_is_found(form: Callable[[str], str]) -> None:
    value = "Aq9!'\"\\ä<Long&/1"
    redaction.add([value])
    assert redact(form(value)).strip("b'\"") == REDACTED


@pytest.mark.parametrize(
    "part",
    [
        "a.",
        "x://",
        "x",
        "x?",
        "-https%3A%2F%2F",
        "a:",
        "bearer ",
        "authorization ",
        "access_token",
        "cookie: ",
        "&code=",
    ],
)
def test_the_cost_does_not_grow_with_the_square_of_the_length(part: str) -> None:
    """A receiver of webhooks or a platform may send such a text; 40 kB took a second."""
    text = "https://example.org/ " + part * (200_000 // len(part))
    began_s = time.process_time()
    redact(text)
    assert time.process_time() - began_s < 1.0


@pytest.mark.parametrize("before", ["", "i", "id", "id:"])
@pytest.mark.parametrize("after", ["", "z", "zz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_known_value_is_found_within_base64(before: str, after: str, encode: object) -> None:
    """As in `Authorization: Basic`, wherever it begins within the encoded text."""
    assert callable(encode)
    encoded = encode(f"{before}{SECRET}{after}".encode()).decode()
    left = redact(f"x {encoded} y").replace(REDACTED, "")
    assert len(left) <= len("x  y") + 10  # what encodes the other text
    assert left.startswith("x ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def-ghi", f"Authorization: Bearer {REDACTED}"),
        ("{'Authorization': b'Basic Zm9vOmJhcg=='}", f"{{'Authorization': b'Basic {REDACTED}'}}"),
        ('{\\"authorization\\": \\"token-of-mine\\"}', f'{{\\"authorization\\": \\"{REDACTED}\\"}}'),
        ("('Authorization', 'Bearer abcdefghijk')", f"('Authorization', 'Bearer {REDACTED}')"),
        ("sent Bearer abcdefgh12345", f"sent Bearer {REDACTED}"),
        ("https://user:pw@host/p?code=1&x=2 failed", f"https://{REDACTED}@host/p?{REDACTED} failed"),
        ("to=https%3A%2F%2Fh%2Fp%3Fsig%3Dabc&n=1", f"to=https%3A%2F%2Fh%2Fp%3F{REDACTED}&n=1"),
        ("GET /callback?code=abc&state=def", f"GET /callback?code={REDACTED}&state={REDACTED}"),
        ('{"access_token": "abcdefg", "n": 1}', f'{{"access_token": "{REDACTED}", "n": 1}}'),
        ("grant_type=refresh&refresh_token=abcdefgh&x=1", f"grant_type=refresh&refresh_token={REDACTED}&x=1"),
        ("GET /media/gAAAAABm0123456789abcdefghijkl== failed", f"GET /media/{REDACTED} failed"),
        ("key vidprod_0123456789abcdef", f"key {REDACTED}"),
        ("Cookie: session=abc; other=def", f"Cookie: {REDACTED}"),
        ("X-Api-Key: 1234567890abc", f"X-Api-Key: {REDACTED}"),
        ("{'refreshToken': 'abcdefghijkl'}", f"{{'refreshToken': '{REDACTED}'}}"),
        ("from=a://b/x://h/p?sig=abc", f"from=a://b/x://h/p?{REDACTED}"),
    ],
)
def test_what_looks_like_a_secret_is_removed(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Job job_1: failed (out_of_memory): the bearer token was basic knowledge",
        "SECRET_KEY is not the key of the data: these cannot be opened: accounts: tiktok",
        "API key: wrong key from '127.0.0.1'",
        "the endpoint's secret, which was encrypted with another key",
        "Machine: serving at https://example.org/path",
        "HTTP 429, code=4, state=ready",
    ],
)
def test_a_sentence_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_the_parts_of_an_address_are_secrets() -> None:
    redaction.add_address("tgram://123456789:AAbbCCddEE/chat-12345?secretish=0123456789")
    assert redact("AAbbCCddEE 123456789 chat-12345 0123456789") == " ".join([REDACTED] * 4)


@pytest.mark.parametrize(
    "address",
    ["https://discord.com/api/webhooks/123456789/AAbbCCddEE", "https://hooks.slack.com/services/T01234567/AAbbCCddEE"],
)
def test_words_of_well_known_addresses_are_no_secrets(address: str) -> None:
    redaction.add_address(address)
    assert redact("webhooks: two services are slow") == "webhooks: two services are slow"
    assert redact("AAbbCCddEE") == REDACTED


def test_of_a_decrypted_value_only_what_is_secret_by_its_name_is_removed() -> None:
    redaction.add_sealed({"access_token": "token-0123456789", "publish_id": "v_pub_0123456789", "until": 1.0})
    redaction.add_sealed("whole-0123456789")
    assert redact("token-0123456789 v_pub_0123456789 whole-0123456789") == f"{REDACTED} v_pub_0123456789 {REDACTED}"


def test_the_known_values_do_not_grow_without_limit() -> None:
    redaction.add([f"value-number-{number}" for number in range(2 * redaction.MAX_VALUES)])
    assert len(redaction._values) == redaction.MAX_VALUES
    assert redact(f"value-number-{2 * redaction.MAX_VALUES - 1}") == REDACTED
