"""The transactions of the connection that writes: begun with their first statement, looked up if not answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from broker.errors import CommitOutcomeUnknown, DatabaseUnavailable
from broker.postgresql.dialect import SharedDialect
from broker.postgresql.session import ServerSession, TranslatingCursor

__all__ = ["OUTCOME_QUERY", "RECOVERY_QUERY", "TransactionId", "WriterConnection", "first_query", "was_committed"]

# Changes with each recovery from a crash, with a failover to a standby, and when an administrator resets statistics.
# It is asked once for each connection, because none survives those; in each transaction it would cost 70 us of 510. One
# of a pooler may survive; then the outcome of a lost COMMIT is unknown, although it could have been found.
RECOVERY_QUERY = "SELECT pg_stat_get_bgwriter_stat_reset_time()"

# The server refuses to say anything about numbers that it has not given out.
OUTCOME_QUERY = """
    SELECT CASE WHEN number < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status(number) END,
           pg_stat_get_bgwriter_stat_reset_time()
    FROM (SELECT CAST(CAST(? AS TEXT) AS xid8) AS number) AS asked
"""

# The number of the transaction, and limits of the server's, so that a process that is cut off or frozen holds none open
# for long.
_SETTINGS = {"idle_in_transaction_session_timeout": "20s", "lock_timeout": "10s", "statement_timeout": "30s"}

logger = logging.getLogger(__name__)

T = TypeVar("T")


def first_query(*, synchronous: bool) -> str:
    """Return the first query of a transaction; `synchronous` is whether its commit waits until it is durable."""
    settings = _SETTINGS | ({} if synchronous else {"synchronous_commit": "off"})
    return "SELECT pg_current_xact_id()" + "".join(
        f", set_config('{name}', '{value}', true)" for name, value in settings.items()
    )


@dataclass(frozen=True, slots=True)
class TransactionId:
    """The number of a transaction, and the recovery of the server since which that number is given out once.

    After a crash the server gives those numbers out again that had not reached its WAL.
    """

    number: str
    recovery: object


def was_committed(transaction: TransactionId, status: str | None, recovery: object) -> bool | None:
    """Return whether a transaction was committed, from a row of `OUTCOME_QUERY`; None while it is open.

    Raises:
        CommitOutcomeUnknown: the server has crashed meanwhile; the number may be that of another transaction.
    """
    if recovery == transaction.recovery:
        return {"committed": True, "aborted": False}.get(status or "")
    if status == "committed":
        raise CommitOutcomeUnknown(
            f"transaction {transaction.number}: the server has recovered from a crash or failed over during its COMMIT"
        )
    return False  # open transactions do not survive a crash, so another one has this number, or none


class _FirstCursor(TranslatingCursor):
    """A cursor whose first statement begins the transaction."""

    def __init__(self, cursor: TranslatingCursor, begin_with: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__(cursor.raw)
        self._begin_with = begin_with

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> TranslatingCursor:
        """Run a statement; raises as `TranslatingCursor.execute`."""
        self._begin_with(partial(super().execute, sql, parameters))
        return self

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> TranslatingCursor:
        """Run a statement once for each tuple of parameters. Raises as `execute`."""
        self._begin_with(lambda: None)  # the statements have a pipeline of their own
        super().executemany(sql, parameters)
        return self


@dataclass(eq=False)
class WriterConnection:
    """The connection that writes. BEGIN IMMEDIATE and COMMIT are SQLite's words for what the writer asks for."""

    session: ServerSession
    outcome: Callable[[TransactionId], bool]  # whether this transaction was committed
    first_query: str
    recovery: object  # the server's last one, from `RECOVERY_QUERY`
    number: str = ""  # of the open transaction
    begins: bool = False  # with the next statement
    dialect: SharedDialect = field(init=False)

    def __post_init__(self) -> None:
        self.dialect = SharedDialect(self.cursor, repeats=True)

    def cursor(self) -> TranslatingCursor:
        """Return a cursor."""
        cursor = self.session.cursor()
        return _FirstCursor(cursor, self.begin_with) if self.begins else cursor

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> TranslatingCursor:
        """Run a statement."""
        if sql not in {"BEGIN IMMEDIATE", "COMMIT"}:
            return self.cursor().execute(sql, parameters)
        cursor = self.session.cursor()  # made before: the connection may be lost during the COMMIT
        if sql == "BEGIN IMMEDIATE":
            self.begins = True
            self.dialect.begin()
        elif not self.begins:  # else there was no statement in between
            self._commit()
        return cursor

    def begin_with(self, run: Callable[[], T]) -> T:
        """Begin the transaction in one round trip with its first statement, which `run` sends, if it has not begun."""
        if not self.begins:
            return run()
        self.begins = False
        with self.session.pipeline():
            self.session.run("BEGIN")
            numbered = self.session.run(self.first_query)
            result = run()
        self.number = str(numbered.fetchone()[0])
        return result

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> TranslatingCursor:
        """Run a statement once for each tuple of parameters."""
        return self.cursor().executemany(sql, parameters)

    def _commit(self) -> None:
        try:
            row = self.session.script("COMMIT")
        except DatabaseUnavailable as error:
            if not self.session.is_lost or not self.outcome(TransactionId(self.number, self.recovery)):
                raise
            logger.warning("The answer to COMMIT was lost (%s); the transaction was committed.", error)
        else:
            if row != ("COMMIT",):
                raise DatabaseUnavailable(f"the transaction was not committed: {row}")
