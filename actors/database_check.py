"""Ends a process at its start if the database cannot be used; logs what cannot be decrypted in it."""

from __future__ import annotations

import dramatiq

from actors import sealed_rows
from broker import DatabaseUnavailable as BrokerUnavailable
from broker import SchemaTooNew
from store import CommitUnclear, DatabaseUnavailable, Sealer, Store

DATABASE_ERRORS = (DatabaseUnavailable, CommitUnclear, BrokerUnavailable, SchemaTooNew)
"""Errors of store and broker when the database cannot be used."""


def require_database(store: Store, sealer: Sealer) -> None:
    """Exit with an error message if the database cannot be used; log what the sealer cannot decrypt.

    Raises:
        SystemExit: with the message, which Python prints; the exit code is 1.
    """
    try:
        store.require_usable()
        sealed_rows.report(store, sealer)
    except DATABASE_ERRORS as error:
        raise SystemExit(f"{store.name}: {error}") from None


class RequireDatabase(dramatiq.Middleware):
    """Dramatiq middleware that ends a worker process at its start if the database cannot be used."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        """Check the database."""
        del broker
        require_database(self._store, self._sealer)
        # Worker processes run no atexit handlers: an open connection would leave the WAL beside a stopped database.
        self._store.close()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Close the database; its last connection checkpoints the WAL."""
        del broker, worker
        self._store.close()
