"""The tables and their migrations: forward-only steps, applied under the write lock.

All names begin with `broker_`, so that the tables can live in the file of the application that uses the broker. The
tables of the backends have a version of their own: a file that holds only messages stays without them.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.errors import SchemaTooNew
from broker.storage.connection import Cursorable

__all__ = ["BACKEND_SCHEMA", "MESSAGE_SCHEMA", "Schema"]

_MESSAGE_STEP_1 = (
    # The first version; step 3 replaces it and explains the columns.
    """
    CREATE TABLE broker_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, state INTEGER NOT NULL,
        broker_priority INTEGER NOT NULL, actor_priority INTEGER NOT NULL, message_id TEXT NOT NULL,
        actor TEXT NOT NULL, body BLOB NOT NULL, sent_ms INTEGER NOT NULL, eta_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0, holder INTEGER, claim INTEGER
    )
    """,
    "CREATE INDEX broker_ready ON broker_messages (queue, broker_priority DESC, actor_priority, id) WHERE state = 0",
    "CREATE INDEX broker_delayed ON broker_messages (queue, eta_ms, id) WHERE state = 1",
    "CREATE INDEX broker_leased ON broker_messages (holder, queue) WHERE state = 2",
    # A row per message that gave up or could not be read.
    """
    CREATE TABLE broker_dead (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        broker_priority INTEGER NOT NULL,
        actor_priority INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        actor TEXT NOT NULL,
        body BLOB NOT NULL,
        sent_ms INTEGER NOT NULL,
        died_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL,             -- how often it was run or handed out
        error TEXT NOT NULL,                   -- one line: kind and text of the last error
        traceback TEXT                         -- of the last error, where there was one
    )
    """,
    "CREATE INDEX broker_dead_by_queue ON broker_dead (queue, id)",
    "CREATE INDEX broker_dead_by_age ON broker_dead (died_ms)",
    # A row per process that consumes. It lives as long as its lease file is locked; whoever finds it dead deletes it.
    """
    CREATE TABLE broker_workers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: part of the fencing token
        lease TEXT NOT NULL,                   -- name of the lease file, which the process holds locked
        pid INTEGER NOT NULL,
        host TEXT NOT NULL,
        started_ms INTEGER NOT NULL,
        queues TEXT NOT NULL                   -- JSON list of canonical names
    )
    """,
)
_MESSAGE_STEP_2 = (
    "ALTER TABLE broker_messages ADD COLUMN expires_ms INTEGER",
    "ALTER TABLE broker_messages ADD COLUMN claimed_ms INTEGER",
    "CREATE INDEX broker_expiring ON broker_messages (queue, expires_ms) WHERE state = 0 AND expires_ms IS NOT NULL",
    # A row per reserved key of a unique message; it outlives the message and is deleted when it has expired.
    """
    CREATE TABLE broker_unique (
        key TEXT PRIMARY KEY,
        message_id TEXT NOT NULL,              -- whose retries are not its duplicates
        until_ms INTEGER NOT NULL              -- Unix milliseconds
    ) WITHOUT ROWID
    """,
    "CREATE INDEX broker_unique_by_message ON broker_unique (message_id)",
    "CREATE INDEX broker_unique_by_end ON broker_unique (until_ms)",
    # A row per queue from which nothing may be claimed.
    "CREATE TABLE broker_paused (queue TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) WITHOUT ROWID",
)
_MESSAGE_STEP_3 = (
    # A row per message that waits or is being processed. An acknowledged message is deleted. Replaced, because ids
    # that are never reused cost every commit a page more (a tenth of its time, measured), and nothing needs them.
    """
    CREATE TABLE broker_messages_3 (
        id INTEGER PRIMARY KEY,                -- rises in the order in which messages become ready; above all ids there
                                               -- are, so one that is free again never comes before an older message
        queue TEXT NOT NULL,                   -- canonical name, never with .DQ
        state INTEGER NOT NULL,                -- 0 ready, 1 delayed, 2 leased; 3 blocked: ready but for the messages of
                                               -- its key that are being worked on
        broker_priority INTEGER NOT NULL,      -- higher first
        actor_priority INTEGER NOT NULL,       -- lower first, among equal broker_priority
        message_id TEXT NOT NULL,              -- dramatiq's id; not unique: a retry is stored before its original goes
        actor TEXT NOT NULL,
        body BLOB NOT NULL,                    -- the encoder's bytes, with the canonical queue name and without eta
        sent_ms INTEGER NOT NULL,              -- when the message was first sent, Unix milliseconds
        eta_ms INTEGER NOT NULL,               -- when it became or will become ready, Unix milliseconds
        attempts INTEGER NOT NULL,             -- runs before this row was stored (a retry carries on counting)
        deliveries INTEGER NOT NULL DEFAULT 0, -- claims of this row; giving back on a graceful stop takes one off
        expires_ms INTEGER,                    -- no longer used; NULL
        concurrency_key TEXT,                  -- NULL: any number at once
        concurrency_limit INTEGER,             -- how many of its key may be leased at once
        holder INTEGER,                        -- leased: id of the process in broker_workers, which is never reused
        claim INTEGER,                         -- leased: number of the claim there; with the holder, the fencing token
        claimed_ms INTEGER,                    -- leased: since when, Unix milliseconds
        cancelled INTEGER                      -- leased: 1 when it must not run again
    )
    """,
    """
    INSERT INTO broker_messages_3
        (id, queue, state, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts,
         deliveries, expires_ms, holder, claim, claimed_ms)
    SELECT id, queue, state, broker_priority, actor_priority, message_id, actor, body, sent_ms, eta_ms, attempts,
        deliveries, expires_ms, holder, claim, claimed_ms
    FROM broker_messages
    """,
    "DROP TABLE broker_messages",
    "ALTER TABLE broker_messages_3 RENAME TO broker_messages",
    "CREATE INDEX broker_ready ON broker_messages (queue, broker_priority DESC, actor_priority, id) WHERE state = 0",
    "CREATE INDEX broker_delayed ON broker_messages (queue, eta_ms, id) WHERE state = 1",
    "CREATE INDEX broker_leased ON broker_messages (holder, queue) WHERE state = 2",
    "CREATE INDEX broker_expiring ON broker_messages (queue, expires_ms) WHERE state = 0 AND expires_ms IS NOT NULL",
    """
    CREATE INDEX broker_keyed ON broker_messages
        (concurrency_key, state, queue, broker_priority DESC, actor_priority, id) WHERE concurrency_key IS NOT NULL
    """,
    "ALTER TABLE broker_dead ADD COLUMN concurrency_key TEXT",
    "ALTER TABLE broker_dead ADD COLUMN concurrency_limit INTEGER",
    # No longer used: a row per queue whose senders wait until it holds fewer messages.
    "CREATE TABLE broker_full (queue TEXT PRIMARY KEY) WITHOUT ROWID",
)
_MESSAGE_STEP_4 = (
    # Reservations by a clock that is not set: `boot_clock`. Those that there are end by the wall clock.
    "ALTER TABLE broker_unique ADD COLUMN boot TEXT NOT NULL DEFAULT ''",  # identity of the machine's boot
    "ALTER TABLE broker_unique ADD COLUMN boot_until_ms INTEGER NOT NULL DEFAULT 0",  # milliseconds since that boot
    "DROP INDEX broker_unique_by_end",
    "CREATE INDEX broker_unique_by_end ON broker_unique (boot, boot_until_ms)",
)
_BACKEND_STEP_1 = (
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
        expires_ms INTEGER NOT NULL            -- it is deleted afterwards, Unix milliseconds
    ) WITHOUT ROWID
    """,
    "CREATE INDEX broker_events_by_end ON broker_events (expires_ms)",
)


@dataclass(frozen=True)
class Schema:
    """A group of tables, their version in a file, and the steps from one version to the next."""

    title: str  # in errors
    version_table: str
    steps: tuple[tuple[str, ...], ...]  # the n-th leads from version n to version n + 1

    @property
    def latest(self) -> int:
        """The version that this package uses."""
        return len(self.steps)

    @property
    def exists_query(self) -> str:
        """A query that returns a row if the tables exist."""
        return f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{self.version_table}'"  # noqa: S608

    @property
    def version_query(self) -> str:
        """A query that returns the version in a row; an error without the tables."""
        return f"SELECT version FROM {self.version_table}"  # noqa: S608  # a constant

    def version(self, connection: Cursorable) -> int:
        """Return the version of the tables in a file, 0 when there are none."""
        cursor = connection.cursor()
        try:
            cursor.execute(self.exists_query)
            if cursor.fetchone() is None:
                return 0
            cursor.execute(self.version_query)
            row = cursor.fetchone()
            return int(row[0]) if row else 0
        finally:
            cursor.close()

    def migrate(self, connection: Cursorable, *, to: int | None = None) -> None:
        """Bring the tables to a version, inside the caller's open transaction, which holds the write lock.

        Args:
            to: the version, as an older package would have left it; None is the latest.

        Raises:
            SchemaTooNew: a newer version of this package has written the file.
        """
        target = self.latest if to is None else to
        version = self.version(connection)
        if version > self.latest:
            raise SchemaTooNew(f"{self.title} have version {version}, this package knows {self.latest}")
        if version >= target:
            return
        cursor = connection.cursor()
        try:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {self.version_table} (version INTEGER NOT NULL)")
            for step in self.steps[version:target]:
                for statement in step:
                    cursor.execute(statement)
            cursor.execute(f"DELETE FROM {self.version_table}")  # noqa: S608  # a constant
            cursor.execute(f"INSERT INTO {self.version_table} (version) VALUES (?)", (target,))  # noqa: S608  # likewise
        finally:
            cursor.close()


_MESSAGE_STEPS = (_MESSAGE_STEP_1, _MESSAGE_STEP_2, _MESSAGE_STEP_3, _MESSAGE_STEP_4)
MESSAGE_SCHEMA = Schema("broker tables", "broker_schema", _MESSAGE_STEPS)
BACKEND_SCHEMA = Schema("backend tables", "broker_backend_schema", (_BACKEND_STEP_1,))
