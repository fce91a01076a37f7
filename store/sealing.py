"""Encryption of what must not be readable in the file: tokens, handles with bearer addresses, webhook secrets."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class WrongKey(Exception):
    """Something was sealed with another SECRET_KEY: set that one, or connect the account again."""


class Sealer:
    """Seals small JSON values with one key (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, secret_key: str) -> None:
        # SECRET_KEY is any text; Fernet wants 32 bytes. It is expected to be random, so one hash is enough.
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest()))

    def seal(self, value: Any) -> bytes:  # Any: whatever JSON can hold
        """Encrypt a JSON value."""
        return self._fernet.encrypt(json.dumps(value, separators=(",", ":")).encode())

    def open(self, sealed: bytes) -> Any:  # Any: whatever JSON can hold
        """Decrypt what `seal` made.

        Raises:
            WrongKey: it was made with another key, or changed.
        """
        try:
            return json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as exc:
            raise WrongKey("stored secrets cannot be read with this SECRET_KEY") from exc
