"""The tables of the result and rate limiter backends and how they came to be: forward-only steps, as in `schema`.

They have a version of their own, so that a file which holds only messages stays as it is. All names begin with
`broker_`.
"""

from __future__ import annotations

import sqlite3

from broker.errors import SchemaTooNew

__all__ = ["BACKEND_VERSION_QUERY", "LATEST", "ensure_backend_schema"]

BACKEND_VERSION_QUERY = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'broker_backend_schema'"

_STEP_1 = (
    # A row per stored result or error of an actor.
    """
    CREATE TABLE broker_results (
        key TEXT PRIMARY KEY,                  -- dramatiq's: namespace, queue, actor and message id, or their digest
        value BLOB NOT NULL,                   -- the encoder's bytes; a JSON null is a value
        expires_ms INTEGER NOT NULL            -- from then on it does not count, Unix milliseconds
    )
    """,
    "CREATE INDEX broker_results_by_end ON broker_results (expires_ms)",
    # A row per counter of a rate limiter or barrier.
    """
    CREATE TABLE broker_counters (
        key TEXT PRIMARY KEY,
        value INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL            -- from then on it does not count, Unix milliseconds
    ) WITHOUT ROWID
    """,
    "CREATE INDEX broker_counters_by_end ON broker_counters (expires_ms)",
    # A row per event that has happened; who comes late still sees it.
    """
    CREATE TABLE broker_events (
        key TEXT PRIMARY KEY,
        expires_ms INTEGER NOT NULL            -- from then on it is forgotten, Unix milliseconds
    ) WITHOUT ROWID
    """,
    "CREATE INDEX broker_events_by_end ON broker_events (expires_ms)",
)
_STEPS = (_STEP_1,)
LATEST = len(_STEPS)


def ensure_backend_schema(connection: sqlite3.Connection) -> None:
    """Bring the tables to the present version, inside the caller's open transaction, which holds the gate.

    Raises:
        SchemaTooNew: a newer version of this package has been at work here.
    """
    version = _version(connection)
    if version > LATEST:
        raise SchemaTooNew(f"backend tables have version {version}, this package knows {LATEST}")
    if version == LATEST:
        return
    connection.execute("CREATE TABLE IF NOT EXISTS broker_backend_schema (version INTEGER NOT NULL)")
    for step in _STEPS[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute("DELETE FROM broker_backend_schema")
    connection.execute("INSERT INTO broker_backend_schema (version) VALUES (?)", (LATEST,))


def _version(connection: sqlite3.Connection) -> int:
    if connection.execute(BACKEND_VERSION_QUERY).fetchone() is None:
        return 0
    row = connection.execute("SELECT version FROM broker_backend_schema").fetchone()
    return int(row[0]) if row else 0
