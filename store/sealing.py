"""Encrypts the secrets in the database: tokens, handles with bearer addresses, webhook secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class WrongKey(Exception):
    """The value was encrypted with another SECRET_KEY: restore that key, or connect the account again."""


class Sealer:
    """Encrypts small JSON values with one key (Fernet: AES-128-CBC with HMAC-SHA256).

    Args:
        secret_key: any text.
        on_plain: called with each value that is encrypted or decrypted, so that it can be kept out of logs.
    """

    def __init__(self, secret_key: str, on_plain: Callable[[object], None] = lambda _: None) -> None:
        # SECRET_KEY is any text; Fernet needs 32 bytes. The key is expected to be random, so one hash suffices.
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest()))
        self._hash_key = hashlib.sha256(b"keyed-hash:" + secret_key.encode()).digest()
        self._on_plain = on_plain
        self._can_open = lru_cache(maxsize=256)(self._opens)

    def seal(self, value: Any) -> bytes:  # Any: a JSON value
        """Encrypt a JSON value."""
        self._on_plain(value)
        return self._fernet.encrypt(json.dumps(value, separators=(",", ":")).encode())

    def open(self, sealed: bytes) -> Any:  # Any: a JSON value
        """Decrypt a value that `seal` encrypted.

        Raises:
            WrongKey: it was encrypted with another key, or changed.
        """
        try:
            value = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as exc:
            raise WrongKey("stored secrets cannot be read with this SECRET_KEY") from exc
        self._on_plain(value)
        return value

    def keyed_hash(self, value: str) -> str:
        """Return a hash that finds a stored value again; without SECRET_KEY nobody can test guesses of the value."""
        return hmac.new(self._hash_key, value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

    def can_open(self, sealed: bytes) -> bool:
        """Return whether `open` can decrypt a value; remembered for 256 values, since health checks repeat it."""
        return self._can_open(sealed)

    def _opens(self, sealed: bytes) -> bool:
        try:
            self._fernet.decrypt(sealed)
        except InvalidToken:
            return False
        return True
