"""Removes secrets from texts that leave a process: log lines, error reports, dead letters, words of platforms.

Two ways together. Values that this process knows to be secret (`add`: settings, decrypted values) are found in every
form in which they may appear. Patterns find those that it does not know: bearer tokens, passwords and queries in URLs.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, urlsplit

REDACTED = "[redacted]"
SHORTEST = 8  # characters of a value; shorter ones are words, and replacing them would make texts unreadable
# Parts of well-known addresses that are no secrets: of Slack, Discord, Teams and Google Chat. Log lines contain them.
PUBLIC_PARTS = frozenset(
    {"services", "webhooks", "webhookb2", "incomingwebhook", "workflows", "triggers", "messages", "notifications"}
)
MAX_VALUES = 256  # of this process; the least recently added go first

_FIELD_NAMES = (
    "access[_-]?token|refresh[_-]?token|id[_-]?token|client[_-]?secret|client_assertion|code_?verifier|verifier|"
    "fb_exchange_token|secret[_-]?key|secret|api[_-]?key|password|passwd|private[_-]?key|signature|upload_url|session_uri"
)
_BYTES = "(?:b(?=[\"']))?"  # the beginning of a value of bytes, as Python shows it
_OPEN = rf"(?:\\?[\"'],|\\?[\"']?\s*[:=])\s*{_BYTES}\\?[\"']?"  # what stands between a name and its value

# Each with the texts of which one is in everything that it matches, in lower case: looking for these first is faster.
# None looks at a character from many beginnings: a text may come from any sender, and must not cost the square of its
# length.
_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = tuple(
    (hints, re.compile(pattern), replacement)
    for hints, pattern, replacement in (
        (
            ("authorization",),
            rf"(?i)(\b(?:proxy-)?authorization\b{_OPEN})((?:bearer|basic|oauth|vapid)\s+)?[^\s\"'\\]+",
            rf"\1\2{REDACTED}",
        ),
        (("cookie",), rf"(?i)(\b(?:set-)?cookie\b{_OPEN})[^\"'\\\r\n]+", rf"\1{REDACTED}"),
        (
            ("bearer ", "basic "),
            r"(?i)\b(bearer|basic)\s+(?=[\w.~+/%=-]{16}|[\w.~+/%=-]*\d)[\w.~+/%=-]{8,}",
            rf"\1 {REDACTED}",
        ),
        (("://",), r"(://)[^\s/@\"'<>?#]+@", rf"\1{REDACTED}@"),
        (("://",), r"(://(?:(?!://)[^\s\"'<>?#\\])*\?)[^\s\"'<>#\\]+", rf"\1{REDACTED}"),
        (  # the same in a percent-encoded address, such as one in a query
            ("%3a%2f%2f",),
            r"(?i)(%3A%2F%2F(?:(?!%3F|%3A%2F%2F)[\w.~%*-])*%3F)[\w.~%*-]+",
            rf"\1{REDACTED}",
        ),
        (("=",), r"(?i)([?&](?:code|state|token|sig|key|auth)=)[^\s&\"'<>#\\]+", rf"\1{REDACTED}"),
        (
            ("token", "secret", "key", "verifier", "passw", "signature", "assertion", "upload_url", "session_uri"),
            rf"(?i)((?:\b|_)(?:{_FIELD_NAMES}){_OPEN})(?!\[redacted\])[^\s&,;\"'<>\\)}}\]]{{6,}}",
            rf"\1{REDACTED}",
        ),
        (("gaaaaa",), r"\bgAAAAA[\w=-]{20,}", REDACTED),  # Fernet, in links to media
        (("vidprod_", "whsec_"), r"\b(?:vidprod_|whsec_)[\w+/=-]{16,}", REDACTED),
    )
)
_PERCENT_ENCODED = re.compile("%[0-9A-F]{2}")
_lock = threading.Lock()
_values: OrderedDict[str, tuple[str, ...]] = OrderedDict()  # the forms of each value
_forms: tuple[str, ...] = ()  # of all values, the longest first


def add(values: Iterable[str]) -> None:
    """Add values that no text may contain from now on."""
    global _forms  # noqa: PLW0603 (of the process, like the log)
    with _lock:
        before = len(_values), next(reversed(_values), None)
        for value in values:
            if len(value) < SHORTEST:
                continue
            known = _values.pop(value, None)
            _values[value] = known or tuple(_forms_of(value))
        while len(_values) > MAX_VALUES:
            _values.popitem(last=False)
        if before != (len(_values), next(reversed(_values), None)):
            _forms = tuple(sorted({form for forms in _values.values() for form in forms}, key=len, reverse=True))


def add_address(address: str) -> None:
    """Add an address whose parts are secrets: its user, password, longer parts of its path, values of its query.

    In addresses such as "tgram://TOKEN/CHAT" a token stands at the place of the host; real hosts have a dot.
    """
    parts = urlsplit(address)
    hosts = [host for host in parts.netloc.rpartition("@")[2].split(":") if "." not in host and host != "localhost"]
    found = [address, parts.username or "", parts.password or "", *hosts, *parts.path.split("/")]
    found += [pair.partition("=")[2] for pair in parts.query.split("&")]
    add([text for one in found if one.lower() not in PUBLIC_PARTS for text in {one, unquote(one)}])


def add_sealed(value: object) -> None:
    """Add the secrets of a value that is stored encrypted: a text, or those entries whose name says that they are."""
    if isinstance(value, str):
        add([value])
    elif isinstance(value, Mapping):
        add([text for name, text in value.items() if isinstance(text, str) and _is_secret_name(str(name))])


def redact(text: str) -> str:
    """Return a text without secrets."""
    for form in _forms:
        if form in text:
            text = text.replace(form, REDACTED)
    lower = text.lower()
    for hints, pattern, replacement in _PATTERNS:
        if any(hint in lower for hint in hints):
            text = pattern.sub(replacement, text)
    return text


def _is_secret_name(name: str) -> bool:
    return any(word in name.lower() for word in ("token", "secret", "verifier", "url", "uri", "key", "auth", "p256dh"))


def _forms_of(value: str) -> Iterator[str]:
    """Yield a value as it is, percent-encoded, in JSON, HTML and Python, and within a text encoded in base64."""
    yield value
    for encoded in (quote(value, safe=""), quote_plus(value)):
        yield encoded
        yield _PERCENT_ENCODED.sub(lambda found: found[0].lower(), encoded)
    for is_ascii in (True, False):
        yield json.dumps(value, ensure_ascii=is_ascii)[1:-1]
    yield html.escape(value)
    yield repr(value)[1:-1]
    raw = value.encode("utf-8", "surrogateescape")
    yield repr(raw)[2:-1]
    for offset in range(3):  # the place of its first byte in a group of three decides about the characters
        encoded = base64.b64encode(bytes(offset) + raw).rstrip(b"=").decode()
        # The first characters depend on what comes before it, the last one on what follows.
        own = encoded[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6]
        yield own
        yield own.translate(str.maketrans("+/", "-_"))
        yield quote(own, safe="")
