"""The store on a PostgreSQL server: transactions of many machines at a time.

A writing transaction runs at READ COMMITTED and begins with the advisory locks of its scope, always in this order:

    everything   shared by all transactions, exclusive for one about everything
    the job      one at a time
    accounts     those of the job's publications and those that are named, in the order of their keys
    an endpoint  one at a time

So two transactions never wait for each other in a circle because of these locks, and each statement after them sees
what the holders before have committed. SERIALIZABLE would need repetitions, and the block of a `with` cannot be
repeated. A reading transaction is a snapshot (REPEATABLE READ READ ONLY).

The connection may end while it waits for the answer to COMMIT. Then the server is asked how it has ended.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

import psycopg
from loguru import logger
from sqlalchemy import ARRAY, Connection, Engine, bindparam, create_engine, event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from store.connection import SCHEMA_VERSION_QUERY, Join, Store, check_version, refuse_newer, upgrade
from store.errors import READ_ONLY, READ_ONLY_STATE, CommitUnclear, DatabaseUnavailable, translated
from store.locks import LockClass, lock
from store.scope import Scope, keeping
from store.tables import Text

LOCK_TIMEOUT_S = 10.0
UNCLEAR_S = 10.0  # for which the server is asked how a transaction has ended
RECONNECT_INTERVAL_S = 1.0  # of threads that wait for a server that is not there
POOL_SIZE = 8

# Nothing is set for the length of a session, so that a pooler such as PgBouncer may stand between. The server ends the
# transaction of a process that is frozen or cut off.
_BEGIN = f"""
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S:.0f}s';
    SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
_BEGIN_READING = """
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL idle_in_transaction_session_timeout = '60s'
"""
# The number of the transaction, and what changes with each recovery from a crash and each failover: after a crash the
# server gives those numbers out again that had not reached its WAL. Whether it can be written is known from then on.
_FIRST = (
    "pg_current_xact_id()::text, pg_stat_get_bgwriter_stat_reset_time()::text, "
    "current_setting('transaction_read_only') = 'on'"
)
_SHARED = text(f"SELECT {_FIRST}, pg_advisory_xact_lock_shared({LockClass.EVERYTHING:d}, 0)")
_EXCLUSIVE = text(f"SELECT {_FIRST}, pg_advisory_xact_lock({LockClass.EVERYTHING:d}, 0)")
_ACCOUNTS = text(
    "SELECT id FROM (SELECT account_id AS id FROM publications WHERE job_id = CAST(:job AS text) "
    "UNION SELECT unnest(CAST(:accounts AS text[]))) AS named ORDER BY hashtext(id)"
).bindparams(bindparam("job", type_=Text()), bindparam("accounts", type_=ARRAY(Text())))
_ID = bindparam("id", type_=Text())
_JOB_OF_PART = text("SELECT job_id FROM job_segments WHERE id = :id").bindparams(_ID)
_JOB_OF_PUBLICATION = text("SELECT job_id FROM publications WHERE id = :id").bindparams(_ID)
# The server refuses to say anything about numbers that it has not given out.
_OUTCOME = text("""
    SELECT CASE WHEN number < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status(number) END,
           pg_stat_get_bgwriter_stat_reset_time()::text
    FROM (SELECT CAST(:number AS xid8) AS number) AS asked
""")


class _Transaction(NamedTuple):
    number: str
    recovery: str | None  # the server's last one

    def was_committed(self, status: str | None, recovery: str | None) -> bool | None:
        """Return whether it was committed, from a row of `_OUTCOME`; None while it is open.

        Raises:
            CommitUnclear: the server has crashed meanwhile; the number may be that of another transaction.
        """
        if recovery == self.recovery:
            return {"committed": True, "aborted": False}.get(status or "")
        if status == "committed":
            raise CommitUnclear(self.number)
        return False  # open transactions do not survive a crash, so another one has this number, or none


class Connect(Protocol):
    """Returns a new connection to a server, which closes when an answer takes longer than allowed."""

    def __call__(
        self,
        conninfo: str = "",
        *,
        answer_timeout_s: float | None = None,
        **options: Any,  # Any: as psycopg takes them
    ) -> psycopg.Connection[Any]:  # Any: rows
        """Connect; `answer_timeout_s` is None for a limit that is longer than any statement of a running machine.

        Raises:
            psycopg.Error: there is no server, or it refuses.
        """


class PostgresqlStore(Store):
    """One database of a server."""

    def __init__(
        self,
        url: str,
        *,
        connect: Connect,
        joining: Join,
        waits_again: Callable[[], bool] = lambda: False,
        pool_size: int = POOL_SIZE,
        answer_timeout_s: float | None = None,
    ) -> None:
        """Configure the store; the first use connects.

        Args:
            url: postgresql+psycopg://…
            connect: such as the broker's.
            joining: as at `Store`.
            waits_again: as at `Store`; also called while the server cannot be reached.
            pool_size: connections that are kept; more are made when all are in use.
            answer_timeout_s: as at `Connect`.
        """
        self._url = url
        self._connect = connect
        self.name = make_url(url).render_as_string(hide_password=True)
        self._server = _engine(url, partial(connect, answer_timeout_s=answer_timeout_s), pool_size)
        super().__init__(joining=joining, waits_again=waits_again)

    @contextmanager
    def _writing(self, scope: Scope) -> Iterator[Connection]:
        with ExitStack() as stack:
            connection, transaction, accounts = self._begun(stack, scope)
            with keeping(connection, scope, accounts), _rolled_back(connection), self._joined(connection):
                yield connection
                self._commit(connection, transaction)

    def _joined(self, connection: Connection) -> AbstractContextManager[Any]:  # Any: as at `Join`
        return self._joining(connection.connection.driver_connection)

    def _begun(self, stack: ExitStack, scope: Scope) -> tuple[Connection, _Transaction, frozenset[str] | None]:
        """Begin with the locks of a scope; return the connection, the transaction and the accounts it locks."""
        while True:
            try:
                connection = stack.enter_context(self._connected())
                with _rolled_back(connection), translated():
                    connection.exec_driver_sql(_BEGIN)
                    return connection, *_lock(connection, scope)
            except DatabaseUnavailable as error:
                stack.close()
                if error.reason not in {"locked", "unreachable"} or not self._waits_again():
                    raise
                logger.warning("{}; waiting again", error)
                if error.reason == "unreachable":
                    time.sleep(RECONNECT_INTERVAL_S)

    def _commit(self, connection: Connection, transaction: _Transaction) -> None:
        try:
            connection.exec_driver_sql("COMMIT")
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            if not self._was_committed(transaction):
                raise DatabaseUnavailable("unreachable", "the connection to the database was lost") from error
            logger.warning("The answer to COMMIT was lost; the server says: {} is committed", transaction.number)

    def _was_committed(self, transaction: _Transaction) -> bool:
        """Ask the server how a transaction has ended whose COMMIT was not answered.

        Raises:
            CommitUnclear: the server does not answer in time, or cannot know.
        """
        deadline_s = time.monotonic() + UNCLEAR_S
        while time.monotonic() < deadline_s:
            # A new connection: those of the pool may be lost, too.
            with suppress(DBAPIError), _engine(self._url, self._connect).connect() as connection:
                answer = connection.execute(_OUTCOME, {"number": transaction.number}).one()
                committed = transaction.was_committed(*answer)
                if committed is not None:
                    return committed
            time.sleep(0.1)
        raise CommitUnclear(transaction.number)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a snapshot.

        Raises:
            DatabaseUnavailable: the server cannot be used.
        """
        with self._connected() as connection, _rolled_back(connection):
            connection.exec_driver_sql(_BEGIN_READING)
            yield connection
            connection.exec_driver_sql("ROLLBACK")

    def data_version(self) -> tuple[int, int]:
        """Return a digest of the visible transactions, which changes with each commit of any process."""
        with self._connected() as connection:
            snapshot = str(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar())
        return int(snapshot.split(":")[1]), zlib.crc32(snapshot.encode())

    def content_version(self) -> None:
        """Return None: there is no file."""

    def check(self) -> None:
        """Do nothing: a server's database cannot be replaced under an open connection."""

    def require_usable(self) -> None:
        """Check at the start of a process that this version can use the database.

        Raises:
            DatabaseUnavailable: it cannot be reached or written, or is of another version.
        """
        with self.writing(scope="rows") as connection:
            found = connection.scalar(text(SCHEMA_VERSION_QUERY))
        check_version(found)

    def damage(self, within_s: float = 0.0) -> str | None:
        """Return None: the server checks the pages that it reads."""
        del within_s
        return None

    def migrate(self) -> None:
        """Migrate the tables to this version. Can be repeated, also by several machines at once.

        Raises:
            DatabaseUnavailable: the server cannot be used, or the tables were written by a newer version.
        """
        # An index of a large table takes as long as it takes; no other machine can work meanwhile.
        server = _engine(self._url, partial(self._connect, answer_timeout_s=math.inf))
        with translated(), server.connect() as connection, _rolled_back(connection):
            connection.exec_driver_sql(_BEGIN)
            connection.execute(_EXCLUSIVE)
            if connection.scalar(text("SELECT to_regclass('store_version')")) is not None:
                refuse_newer(connection.scalar(text(SCHEMA_VERSION_QUERY)))
            upgrade(connection)
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with translated(), self._server.connect() as connection:
            yield connection

    def _reset_after_fork(self) -> None:
        self._server.dispose(close=False)  # a child must not end its parent's sessions

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._server.dispose()


def _lock(connection: Connection, scope: Scope) -> tuple[_Transaction, frozenset[str] | None]:
    """Acquire the locks of a scope; return the transaction and the accounts, None for all of them."""
    is_exclusive = scope.scope == "everything"
    number, recovery, is_read_only, _ = connection.execute(_EXCLUSIVE if is_exclusive else _SHARED).one()
    if is_read_only:  # now, before the caller has done anything that cannot be recorded
        connection.invalidate()
        raise DatabaseUnavailable(*READ_ONLY)
    job = scope.job
    if scope.part is not None:
        job = connection.scalar(_JOB_OF_PART, {"id": scope.part})
    elif scope.publication is not None:
        job = connection.scalar(_JOB_OF_PUBLICATION, {"id": scope.publication})
    if job is not None:
        lock(connection, LockClass.JOB, job)
    found: list[str] = []
    if job is not None or scope.accounts:
        found = list(connection.scalars(_ACCOUNTS, {"job": job, "accounts": list(scope.accounts)}))
        for account in found:
            lock(connection, LockClass.ACCOUNT, account)
    if scope.endpoint is not None:
        lock(connection, LockClass.ENDPOINT, scope.endpoint)
    return _Transaction(number, recovery), None if is_exclusive else frozenset(found)


@contextmanager
def _rolled_back(connection: Connection) -> Iterator[None]:
    """Roll the open transaction back if an error leaves the block."""
    try:
        yield
    except BaseException:
        if not connection.invalidated:
            with suppress(DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
        raise


def _json(value: object) -> str:
    """Return JSON; infinite numbers and those that are none, which PostgreSQL refuses, become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _engine(url: str, connect: Callable[..., psycopg.Connection[Any]], pool_size: int = 0) -> Engine:  # Any: rows
    pool: dict[str, Any] = (  # Any: arguments of several types
        {"pool_size": pool_size, "max_overflow": -1, "pool_pre_ping": True} if pool_size else {"poolclass": NullPool}
    )
    engine = create_engine(
        url,
        # The driver begins no transaction by itself; the methods above execute BEGIN and COMMIT.
        isolation_level="AUTOCOMMIT",
        # A pooler has prepared statements of other clients, or none.
        connect_args={"prepare_threshold": None},
        json_serializer=_json,
        **pool,
    )
    event.listen(engine, "do_connect", lambda _dialect, _record, arguments, options: connect(*arguments, **options))
    event.listen(engine, "handle_error", _drop_read_only)
    return engine


def _drop_read_only(context: ExceptionContext) -> None:
    """Have sessions closed after a refusal to write: another connection may lead to the new primary."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_STATE:
        context.is_disconnect = True
