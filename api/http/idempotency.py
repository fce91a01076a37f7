"""Idempotency-Key: a repeated request gets the first response again.

Source: "The Idempotency-Key HTTP Header Field", draft-ietf-httpapi-idempotency-key-header-07 (October 2025). The draft
requires a structured-field string; most clients send the key without quotes, so both forms are accepted.

    request headers ─▶ `parse` ─▶ `InProgress.begin` ─▶ body, into a `Fingerprint` ─▶ stored response, or a new job

Responses are stored by `store.idempotency_keys`, in the transaction of `actors.flow.job_commands.accept`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Protocol
from weakref import WeakValueDictionary

from api.http.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""Header of a replayed response; the name is Stripe's."""

RETENTION = timedelta(hours=24)
MAX_KEY_CHARS = 255
RETRY_AFTER_S = 5
# A phone that changes its network leaves a dead connection open. The server closes it after two and a half minutes
# (`ALLOWANCES` in `api.server.timing`) and would refuse the phone's next attempt until then.
STALLED_AFTER_S = 15.0

_PARAMETER = r'(?:[ ]*;[ ]*[a-z*][a-z0-9_.*-]*(?:=(?:"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"|[^";,]+))?)*'
_QUOTED = re.compile(rf'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"{_PARAMETER}')
# No comma: repeated headers are joined by commas. No quote: the string would be unterminated.
_BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x7e]+(?: +[\x21\x23-\x2b\x2d-\x7e]+)*")


def parse(header: str) -> str:
    """Return the key in the header's value, quoted or bare.

    Source: RFC 9651, section 3.3.3, for quoted strings.

    Raises:
        Problem: 400 if it is empty, longer than 255 characters, not printable ASCII, or if there are several.
    """
    value = header.strip(" \t")
    quoted = _QUOTED.fullmatch(value)
    bare = value if _BARE.fullmatch(value) else ""
    key = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else bare
    if not 0 < len(key) <= MAX_KEY_CHARS:
        detail = f"{HEADER}: send one key of 1 to {MAX_KEY_CHARS} printable ASCII characters, such as a new UUID"
        raise Problem(400, "idempotency_key_invalid", detail)
    return key


def key_hash(identity: str, key: str) -> str:
    """Return the hash under which a client's key is stored.

    Different clients may use equal keys; neither identity nor key can be read from the hash.
    """
    return sha256(b"\x00".join((b"idempotency", identity.encode(), key.encode()))).hexdigest()


class Fingerprint:
    """Fingerprint of an upload: its fields, file name and bytes, but not the form's boundary and order.

    SHA-256 takes 0.24 s of CPU for 500 MB with the processor's SHA instructions, spread over the upload (measured
    2026-11-28; blake2b 0.35 s, blake2s 0.61 s, md5 0.57 s).
    """

    def __init__(self) -> None:
        self._file = sha256()

    def update(self, data: bytes) -> None:
        """Add the next bytes of the file."""
        self._file.update(data)

    def hexdigest(self, fields: Mapping[str, str], file_name: str) -> str:
        """Return the fingerprint; empty fields do not count."""
        given = sorted((name, value) for name, value in fields.items() if value.strip())
        request = json.dumps([given, file_name, self._file.hexdigest()], separators=(",", ":"))
        return sha256(request.encode()).hexdigest()


class IncomingRequest(Protocol):
    """A request that is being received."""

    @property
    def idle_s(self) -> float:
        """Return the seconds since its last byte; 0 once it is complete."""


class InProgress:
    """The keyed requests that this process is receiving, by key hash.

    It saves clients a second upload. The store ensures that there is only one job, also between processes.
    Requests are referenced weakly: one that was garbage-collected is no longer in progress.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: WeakValueDictionary[str, IncomingRequest] = WeakValueDictionary()

    def begin(self, key: str, request: IncomingRequest) -> None:
        """Register a request that is being received.

        It replaces a stalled request with the same key, which may still be completed and then gets the same response.

        Raises:
            Problem: 409 if another request with this key is in progress.
        """
        with self._lock:
            other = self._requests.get(key)
            if other is not None and other.idle_s < STALLED_AFTER_S:
                raise Problem(
                    409,
                    "idempotency_key_in_progress",
                    f"{HEADER}: a request with this key is in progress; try again when it has ended",
                    headers={"Retry-After": str(RETRY_AFTER_S)},
                )
            self._requests[key] = request

    def end(self, key: str, request: IncomingRequest) -> None:
        """Remove a request that has ended."""
        with self._lock:
            if self._requests.get(key) is request:
                del self._requests[key]


def key_reused(job_id: str) -> Problem:
    """Return the 422 for a key that was used for a different upload."""
    detail = f"{HEADER}: this key was used for another upload; send a new key with a new upload"
    return Problem(422, "idempotency_key_reused", detail, job_id=job_id)
