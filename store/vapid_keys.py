"""The key pairs with which this machine signs web push messages (VAPID, RFC 8292).

A browser's subscription is bound to one public key for ever. So no pair is replaced or deleted: if `SECRET_KEY` is
lost, a second pair is made beside the first, and the first is used again once the key is put back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from store import rows
from store.sealing import Sealer
from store.tables import vapid_keys


@dataclass(frozen=True, kw_only=True)
class VapidKey:
    """A key pair. Columns are explained in `store.tables`."""

    public_key: str
    private_key: bytes = field(repr=False)
    created_at: datetime


def current(connection: Connection, sealer: Sealer) -> VapidKey | None:
    """Return the newest pair that can be decrypted, or None."""
    found = rows.fetch_all(connection, select(vapid_keys).order_by(vapid_keys.c.created_at.desc()), VapidKey)
    return next((key for key in found if sealer.can_open(key.private_key)), None)


def get(connection: Connection, public_key: str) -> VapidKey | None:
    """Return the pair with a public key, or None."""
    return rows.fetch_one(connection, select(vapid_keys).where(vapid_keys.c.public_key == public_key), VapidKey)


def get_or_create(
    connection: Connection, sealer: Sealer, generate: Callable[[], tuple[str, str]], now: datetime
) -> VapidKey:
    """Return the current pair; make one if there is none.

    Args:
        connection: inside `store.writing()`.
        sealer: encrypts the private key.
        generate: returns a new public and private key, both base64url.
        now: the present time.
    """
    known = current(connection, sealer)
    if known is not None:
        return known
    public_key, private_key = generate()
    made = VapidKey(public_key=public_key, private_key=sealer.seal(private_key), created_at=now)
    connection.execute(
        vapid_keys.insert().values(public_key=made.public_key, private_key=made.private_key, created_at=made.created_at)
    )
    return made
