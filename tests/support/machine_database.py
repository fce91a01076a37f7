"""The database and the directories of the tests' machine, emptied before each test that uses it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

import broker
from actors import wiring
from actors.recovery.lost_found import DIRECTORY_NAMES
from broker.admin import QueueAdmin
from broker.broker import DatabaseBroker
from store import DatabaseUnavailable, Store
from store.sqlite import SqliteStore
from store.tables import metadata

__all__ = ["administration", "empty_machine", "machine_environment", "sqlite_path"]

UNUSABLE = (DatabaseUnavailable, broker.DatabaseUnavailable, DBAPIError, sqlite3.Error)


def empty_machine() -> None:
    """Empty the tables, the queues and the directories; a database that cannot be used is created anew.

    So the tests after one that damaged it do not fail, too, nor those after one that stopped a worker.
    """
    wiring.machine.stopping.clear()
    try:
        _empty_database()
    except UNUSABLE:  # or there is none yet
        if not wiring.machine.settings.is_postgresql:
            _delete_database()
        wiring.machine.store.migrate()
        _empty_database()  # creates the tables of the broker, too
    for name in ("uploads", "jobs", *DIRECTORY_NAMES):
        shutil.rmtree(wiring.machine.settings.data_dir / name, ignore_errors=True)


def machine_environment() -> dict[str, str]:
    """Return the environment of another process on the tests' machine; this one has removed its secrets."""
    settings = wiring.machine.settings
    environ = {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "API_KEYS": ",".join(key.get_secret_value() for key in settings.api_keys),
    }
    key = settings.secret_key
    return os.environ | environ | ({} if key is None else {"SECRET_KEY": key.get_secret_value()})


def administration() -> QueueAdmin:
    """Return what looks into the queues of the tests' machine, and pauses them."""
    assert isinstance(wiring.machine.broker, DatabaseBroker)
    return wiring.machine.broker.admin


def sqlite_path(store: Store) -> Path:
    """Return the path of a store's file."""
    assert isinstance(store, SqliteStore)
    return store.path


def _empty_database() -> None:
    wiring.machine.store.require_usable()  # of this version; a migration of nothing takes ten times as long
    with wiring.machine.store.writing(scope="everything") as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    wiring.machine.broker.flush_all()
    admin = administration()
    for queue in admin.queue_stats():
        if queue.paused:
            admin.resume_queue(queue.queue)


def _delete_database() -> None:
    """Close what is open, so that the next use opens the new file."""
    path = sqlite_path(wiring.machine.store)
    path.touch()  # without a file, the store has nothing to close
    wiring.machine.store.close()
    wiring.machine.broker.close()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
