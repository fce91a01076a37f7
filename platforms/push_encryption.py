"""Encryption (RFC 8291) and signature (VAPID, RFC 8292) of web push messages.

Written on `cryptography`: pywebpush takes 10.9 MB of memory more, since it imports aiohttp (measured 2026-11-29).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import struct
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from platforms.web_push import PushAddress, SigningKey

POINT_BYTES = 65  # uncompressed point of P-256
AUTH_BYTES = 16  # RFC 8291, section 3.2
BODY_BYTES = 4096  # RFC 8030, section 7.2: every push service takes so many
_HEADER_BYTES = 16 + 4 + 1 + POINT_BYTES
MAX_PAYLOAD_BYTES = BODY_BYTES - _HEADER_BYTES - 1 - 16  # one byte ends the text, 16 are its tag
TOKEN_LIFETIME_S = 12 * 3600  # RFC 8292, section 2: at most 24 hours


def generate_key() -> tuple[str, str]:
    """Return a new public and private key, both base64url."""
    made = ec.generate_private_key(ec.SECP256R1())
    return _encode(_point(made.public_key())), _encode(made.private_numbers().private_value.to_bytes(32, "big"))


def check_keys(p256dh: str, auth: str) -> None:
    """Check the keys of a subscription.

    Raises:
        ValueError: one of them is malformed.
    """
    if len(_decode(auth)) != AUTH_BYTES:
        raise ValueError(f"auth must be {AUTH_BYTES} bytes")
    _public_key(p256dh)


def encrypt(payload: bytes, address: PushAddress) -> bytes:
    """Encrypt a payload for one browser: one record of the content encoding aes128gcm (RFC 8188).

    Raises:
        ValueError: the payload is too long, or a key is malformed.
    """
    return encrypt_with(payload, address, salt=os.urandom(16), sender=ec.generate_private_key(ec.SECP256R1()))


def encrypt_with(payload: bytes, address: PushAddress, *, salt: bytes, sender: ec.EllipticCurvePrivateKey) -> bytes:
    """Encrypt a payload with a given salt and key pair, each of which is used once. Otherwise like `encrypt`."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"the payload has more than {MAX_PAYLOAD_BYTES} bytes")
    check_keys(address.p256dh, address.auth)
    receiver, sender_point = _public_key(address.p256dh), _point(sender.public_key())
    shared = sender.exchange(ec.ECDH(), receiver)
    info = b"WebPush: info\0" + _point(receiver) + sender_point
    secret = _derive(shared, _decode(address.auth), info, 32)
    content_key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + struct.pack("!IB", BODY_BYTES, POINT_BYTES) + sender_point
    return header + AESGCM(content_key).encrypt(nonce, payload + b"\2", None)  # 2: the last record


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def authorization(endpoint: str, key: SigningKey, now_s: float) -> str:
    """Return the value of Authorization for a push service: a JWT signed with ES256, and the public key."""
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(now_s) + TOKEN_LIFETIME_S,
        "sub": key.contact,
    }
    signed = ".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (_JWT_HEADER, claims))
    signature = _private_key(key.private_key).sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
    return f"vapid t={signed}.{_encode(raw)}, k={key.public_key}"


_JWT_HEADER = {"typ": "JWT", "alg": "ES256"}


def _private_key(private_key: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(_decode(private_key), "big"), ec.SECP256R1())


def _public_key(point: str) -> ec.EllipticCurvePublicKey:
    raw = _decode(point)
    if len(raw) != POINT_BYTES:
        raise ValueError(f"p256dh must be {POINT_BYTES} bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        raise ValueError("p256dh must be a point of the curve P-256") from None


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Decode base64url, with or without padding."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the keys of a subscription must be base64url") from None
