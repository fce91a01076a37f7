"""The tables in PostgreSQL and their migrations. Their columns have the meanings that `storage.schema` explains."""

from __future__ import annotations

from dataclasses import dataclass

from broker.storage.connection import Cursorable
from broker.storage.schema import Schema

__all__ = ["LOCK_CLASS", "POSTGRESQL_BACKEND_SCHEMA", "POSTGRESQL_MESSAGE_SCHEMA", "PostgresqlSchema"]

# Advisory locks are numbered in the whole database, which may be the application's. Ours have two numbers; the first is
# one of these.
LOCK_CLASS = {"migration": 0x62726B00, "key": 0x62726B02, "counter": 0x62726B03}

# Every message is inserted, updated once and deleted: vacuum must come often, or claims read over dead rows.
_OFTEN_VACUUMED = """
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 10000
"""

_MESSAGE_STEP_1 = (
    f"""
    CREATE TABLE broker_messages (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        queue TEXT COLLATE "C" NOT NULL,
        state SMALLINT NOT NULL,
        broker_priority BIGINT NOT NULL,
        actor_priority BIGINT NOT NULL,
        message_id TEXT COLLATE "C" NOT NULL,
        actor TEXT NOT NULL,
        body BYTEA NOT NULL,
        sent_ms BIGINT NOT NULL,
        eta_ms BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        deliveries BIGINT NOT NULL DEFAULT 0,
        concurrency_key TEXT COLLATE "C",
        concurrency_limit BIGINT,
        holder BIGINT,
        claim BIGINT,
        claimed_ms BIGINT,
        cancelled SMALLINT
    ) WITH ({_OFTEN_VACUUMED})
    """,
    "CREATE INDEX broker_ready ON broker_messages (queue, broker_priority DESC, actor_priority, id) WHERE state = 0",
    "CREATE INDEX broker_delayed ON broker_messages (queue, eta_ms, id) WHERE state = 1",
    "CREATE INDEX broker_leased ON broker_messages (holder, queue) WHERE state = 2",
    """
    CREATE INDEX broker_keyed ON broker_messages
        (concurrency_key, state, queue, broker_priority DESC, actor_priority, id) WHERE concurrency_key IS NOT NULL
    """,
    """
    CREATE TABLE broker_dead (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        queue TEXT COLLATE "C" NOT NULL,
        broker_priority BIGINT NOT NULL,
        actor_priority BIGINT NOT NULL,
        message_id TEXT COLLATE "C" NOT NULL,
        actor TEXT NOT NULL,
        body BYTEA NOT NULL,
        sent_ms BIGINT NOT NULL,
        died_ms BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        error TEXT NOT NULL,
        traceback TEXT,
        concurrency_key TEXT COLLATE "C",
        concurrency_limit BIGINT
    )
    """,
    "CREATE INDEX broker_dead_by_queue ON broker_dead (queue, id)",
    "CREATE INDEX broker_dead_by_age ON broker_dead (died_ms)",
    # A row per process that consumes.
    """
    CREATE TABLE broker_workers (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- never reused: part of the fencing token
        pid INTEGER NOT NULL,
        host TEXT NOT NULL,
        machine TEXT NOT NULL,               -- identity of the boot and of the namespace of `pid`
        started_ms BIGINT NOT NULL,
        queues TEXT NOT NULL,                -- JSON list of canonical names
        lease_s DOUBLE PRECISION NOT NULL,   -- after so long without a heartbeat its messages go to others
        session_lock BOOLEAN NOT NULL,       -- whether its connection holds an advisory lock on its id
        heartbeat TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
        counts TEXT NOT NULL DEFAULT ''      -- what it has done, as of the last heartbeat; JSON
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE broker_unique (
        key TEXT COLLATE "C" PRIMARY KEY,
        message_id TEXT COLLATE "C" NOT NULL,
        until_time TIMESTAMPTZ NOT NULL      -- by the clock of the server
    )
    """,
    "CREATE INDEX broker_unique_by_message ON broker_unique (message_id)",
    "CREATE INDEX broker_unique_by_end ON broker_unique (until_time)",
    'CREATE TABLE broker_paused (queue TEXT COLLATE "C" PRIMARY KEY, since_ms BIGINT NOT NULL)',
)
_BACKEND_STEP_1 = (
    f"""
    CREATE TABLE broker_results (key TEXT COLLATE "C" PRIMARY KEY, value BYTEA NOT NULL, expires_ms BIGINT NOT NULL)
    WITH ({_OFTEN_VACUUMED})
    """,
    "CREATE INDEX broker_results_by_end ON broker_results (expires_ms)",
    f"""
    CREATE TABLE broker_counters (key TEXT COLLATE "C" PRIMARY KEY, value BIGINT NOT NULL, expires_ms BIGINT NOT NULL)
    WITH ({_OFTEN_VACUUMED})
    """,
    'CREATE TABLE broker_events (key TEXT COLLATE "C" PRIMARY KEY, expires_ms BIGINT NOT NULL)',
    "CREATE INDEX broker_counters_by_end ON broker_counters (expires_ms)",
    "CREATE INDEX broker_events_by_end ON broker_events (expires_ms)",
)


@dataclass(frozen=True)
class PostgresqlSchema(Schema):
    """A group of tables in PostgreSQL."""

    @property
    def exists_query(self) -> str:
        """A query that returns a row if the tables exist.

        `to_regclass` would say again what it has said before the wait for another migration: it locks no table, so the
        session learns of none.
        """
        table = self.version_table  # a constant
        return f"SELECT 1 FROM pg_class WHERE relname = '{table}' AND pg_table_is_visible(oid)"  # noqa: S608

    def migrate(self, connection: Cursorable, *, to: int | None = None) -> None:
        """Bring the tables to a version, inside the caller's open transaction; others wait meanwhile."""
        if self.version(connection) != (self.latest if to is None else to):
            cursor = connection.cursor()
            cursor.execute("SELECT pg_advisory_xact_lock(?, 0)", (LOCK_CLASS["migration"],))
            cursor.close()
        super().migrate(connection, to=to)


POSTGRESQL_MESSAGE_SCHEMA = PostgresqlSchema("broker tables", "broker_schema", (_MESSAGE_STEP_1,))
POSTGRESQL_BACKEND_SCHEMA = PostgresqlSchema("backend tables", "broker_backend_schema", (_BACKEND_STEP_1,))
