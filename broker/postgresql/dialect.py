"""The statements that differ on PostgreSQL, where several processes write at once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

from broker.errors import TransactionRestart
from broker.postgresql.schema import LOCK_CLASS
from broker.postgresql.session import TranslatingCursor
from broker.storage.unique import EXPIRED_PER_RESERVATION, Unique

__all__ = ["SharedDialect"]


def lock_number(name: str) -> int:
    """Return the number of an advisory lock for a name. Two names may share one, which only makes them wait."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) - 2**31


class SharedDialect:
    """The statements that differ where several processes write at once."""

    def __init__(self, cursor: Callable[[], TranslatingCursor], *, repeats: bool) -> None:
        """Work on the transaction of a cursor.

        Args:
            repeats: whether the transaction can be repeated from its beginning. Those of the application cannot; they
                reserve no keys.
        """
        self._cursor = cursor
        self._repeats = repeats
        self._taken: set[int] = set()
        self._wanted: set[int] = set()  # reserved at the beginning of the next attempt

    def begin(self) -> None:
        """Reserve what the last attempt has lacked, in an order that all transactions keep."""
        self._taken = set()
        wanted, self._wanted = self._wanted, set()
        for number in sorted(wanted):
            self._run("SELECT pg_advisory_xact_lock(?, ?)", (LOCK_CLASS["key"], number))
            self._taken.add(number)

    def try_key(self, key: str) -> bool:
        """Reserve the decisions about a concurrency key for this transaction. False: another one has them."""
        number = lock_number(key)
        if number in self._taken:
            return True
        if not self._repeats:
            return False
        row = self._run("SELECT pg_try_advisory_xact_lock(?, ?)", (LOCK_CLASS["key"], number)).fetchone()
        if row[0]:
            self._taken.add(number)
        return bool(row[0])

    def take_key(self, key: str) -> None:
        """Reserve the decisions about a concurrency key for this transaction.

        To wait for it now could be a deadlock, because this transaction has reserved other keys and locked rows.

        Raises:
            TransactionRestart: another transaction has them; the next attempt waits for them at its beginning.
        """
        if not self.try_key(key):
            self._wanted = self._taken | {lock_number(key)}
            raise TransactionRestart(f"concurrency key {key!r} is in use by another transaction")

    def take_sums(self) -> None:
        """Reserve the sums of counters for this transaction, and wait for others to end theirs.

        One lock for all: which counters are summed up changes with the time.
        """
        self._run("SELECT pg_advisory_xact_lock(?, 0)", (LOCK_CLASS["counter"],))

    def reserve(self, unique: Unique, message_id: str) -> bool:
        """Reserve a unique key for a message, by the clock of the server. False: another message has it."""
        self._run(
            """
            DELETE FROM broker_unique WHERE key IN (
                SELECT key FROM broker_unique WHERE until_time <= statement_timestamp()
                ORDER BY until_time LIMIT ? FOR UPDATE SKIP LOCKED)
            """,
            (EXPIRED_PER_RESERVATION,),
        )
        reserved = self._run(
            """
            INSERT INTO broker_unique AS taken (key, message_id, until_time)
            VALUES (?1, ?2, statement_timestamp() + make_interval(secs => ?3))
            ON CONFLICT (key) DO UPDATE SET message_id = excluded.message_id, until_time = excluded.until_time
            WHERE taken.until_time <= statement_timestamp() OR taken.message_id = excluded.message_id
            """,
            (unique.key, message_id, unique.for_ms / 1000),
        )
        return reserved.rowcount == 1

    def _run(self, sql: str, parameters: Sequence[Any]) -> TranslatingCursor:
        return self._cursor().execute(sql, parameters)
