"""scripts/migrate-to-postgres, as an operator runs it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    Table,
    TypeDecorator,
    func,
    insert,
    select,
)

from broker import SqliteBroker
from broker.broker import DatabaseBroker
from broker.postgresql import PostgresqlBroker, connect
from scripts.machine.installation import DatabaseMoved, Installation
from store import Store, jobs, row_counts
from store.postgresql import PostgresqlStore
from store.sqlite import SqliteStore
from store.tables import UtcDateTime, attempts, metadata
from store.tables import publications as publications_table
from tests.postgresql_server import PostgresqlServer, running_server
from tests.store.rows import job

ROOT = Path(__file__).resolve().parents[2]
KEY = "the-secret-key-of-the-tests"
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
ROWS = 600  # of each table: more than one batch
Rows = dict[str, set[tuple[object, ...]]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def url(server: PostgresqlServer) -> Iterator[str]:
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory of a stopped machine, with rows in all tables and messages in each state."""
    data = tmp_path_factory.mktemp("made")
    data.chmod(0o700)
    path = data / "vidprod.sqlite3"
    broker = SqliteBroker(path)
    store = SqliteStore(path, write_lock=broker.write_lock, joining=broker.joining)
    store.migrate()
    with store.writing(scope="everything") as connection:
        for table in metadata.sorted_tables:
            if table.name != "row_counts":
                connection.execute(insert(table), [_row(table, number) for number in range(ROWS)])
    _send(broker)
    broker.close()
    store.close()
    for path in data.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return data


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "data")


def _row(table: Table, number: int) -> dict[str, object]:
    """Return a row with a value in each column, also in those of tables that are new."""
    return {column.name: _value(column, number) for column in table.columns}


def _value(column: Column[Any], number: int) -> object:
    if column.foreign_keys:
        [key] = column.foreign_keys
        return _value(key.column, number)
    if isinstance(column.type, UtcDateTime):
        return NOW + timedelta(seconds=number, microseconds=1)
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    if isinstance(kind, JSON):
        return {"name": ["ä \0 \ud800", number, None]}
    if isinstance(kind, LargeBinary):
        return bytes([0, 255, number % 256])
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Integer):
        return number + 1 if column.primary_key else 2**31 - 1 - number
    if isinstance(kind, Float):
        return number + 0.1
    return f"{column.table.name}.{column.name} {number} \0 😀"


def _declared(broker: DatabaseBroker) -> dramatiq.Actor[[int], None]:
    @dramatiq.actor(queue_name="counts", broker=broker)
    def count(number: int) -> None:
        del number

    return count


def _send(broker: SqliteBroker) -> None:
    count = _declared(broker)
    for number in range(3):
        count.send(number)
    count.send_with_options(args=(3,), delay=3_600_000)
    for number in (4, 5):
        count.send_with_options(args=(number,), concurrency_key="account", concurrency_limit=1)
    count.send_with_options(args=(6,), unique_for=3600, unique_key="six")
    consumer = broker.consume("counts", prefetch=2)
    assert next(consumer) is not None
    consumer.close()


def rows(store: Store) -> Rows:
    with store.reading() as connection:
        return {
            table.name: {tuple(map(_hashable, row)) for row in connection.execute(select(table))}
            for table in metadata.sorted_tables
            if table.name != "row_counts"
        }


def _hashable(value: object) -> object:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


@pytest.fixture
def run(data: Path) -> Run:
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        known = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "SECRET_KEY": KEY}
        return subprocess.run(
            [sys.executable, "-m", "scripts.machine.migrate_to_postgres", *arguments],
            cwd=ROOT, env=known | environ, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture
def moved(url: str) -> Iterator[PostgresqlStore]:
    store = PostgresqlStore(
        url.replace("postgresql://", "postgresql+psycopg://"),
        connect=connect,
        joining=lambda _: contextlib.nullcontext(),
    )
    yield store
    store.close()


def sqlite_rows(path: Path) -> Rows:
    broker = SqliteBroker(path)
    store = SqliteStore(path, write_lock=broker.write_lock, joining=broker.joining)
    found = rows(store)
    broker.close()
    store.close()
    return found


def test_each_row_and_each_message_moves(data: Path, run: Run, url: str, moved: PostgresqlStore) -> None:
    before = sqlite_rows(data / "vidprod.sqlite3")

    done = run(url)

    assert done.returncode == 0, done.stderr
    after = rows(moved)
    assert all(len(found) == ROWS for found in after.values())
    for name, found in before.items():  # PostgreSQL stores no NUL
        assert after[name] == {
            tuple(value.replace("\0", "?") if isinstance(value, str) else value for value in row) for row in found
        }
    with moved.reading() as connection:
        assert sum(row_counts.by_status(connection, publications_table).values()) == ROWS


def test_the_machine_cannot_go_on_with_the_file(data: Path, run: Run, url: str) -> None:
    assert run(url).returncode == 0

    assert not (data / "vidprod.sqlite3").exists()
    [kept] = list(data.glob("vidprod.sqlite3.moved*"))
    assert len(sqlite_rows(kept)["events"]) == ROWS  # the whole file, without a log that has another name
    with pytest.raises(DatabaseMoved, match="DATABASE_URL"):
        Installation(data, data / "vidprod.sqlite3")
    again = run(url)
    assert (again.returncode, again.stdout) == (1, "")
    assert "was moved" in again.stderr


def test_new_rows_have_numbers_after_those_that_moved(run: Run, url: str, moved: PostgresqlStore) -> None:
    assert run(url).returncode == 0
    with moved.writing(scope="everything") as connection:
        connection.execute(insert(attempts).values({k: v for k, v in _row(attempts, 0).items() if k != "id"}))
        assert connection.scalar(select(func.max(attempts.c.id))) == ROWS + 1


def test_messages_are_delivered_in_their_order(run: Run, url: str) -> None:
    assert run(url).returncode == 0
    broker = PostgresqlBroker(url)
    count = _declared(broker)
    consumer = broker.consume("counts", prefetch=1, timeout=2000)
    found = []
    for _ in range(6):
        message = next(consumer)
        assert message is not None
        found.append(message.args[0])
        consumer.ack(message)
    assert found == [0, 1, 2, 4, 5, 6]
    assert broker.get_queue_message_counts("counts")[1] == 1  # the delayed one
    count.send_with_options(args=(7,), unique_for=3600, unique_key="six")
    assert next(consumer) is None  # its key is still reserved
    consumer.close()
    broker.close()


def test_a_database_with_rows_is_refused(data: Path, run: Run, url: str, moved: PostgresqlStore) -> None:
    moved.migrate()
    with moved.writing(scope="everything") as connection:
        jobs.create(connection, job("other"))

    done = run(url)

    assert done.returncode == 1
    assert "the table jobs has rows already" in done.stderr
    assert (data / "vidprod.sqlite3").exists()


def test_a_commit_that_fails_leaves_the_file_in_its_place(
    data: Path, run: Run, url: str, moved: PostgresqlStore
) -> None:
    moved.migrate()
    with moved.writing(scope="everything") as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION full_disk()"
        )

    done = run(url)

    assert (done.returncode, done.stderr) == (1, "not moved: the disk is full\n")
    assert list(data.glob("vidprod.sqlite3.moved*")) == []
    assert len(sqlite_rows(data / "vidprod.sqlite3")["jobs"]) == ROWS
    assert not any(rows(moved).values())


def test_a_running_machine_is_refused(data: Path, run: Run, url: str) -> None:
    installation = Installation(data, data / "vidprod.sqlite3")
    done = run(url)
    installation.release()
    assert done.returncode == 1
    assert "already running" in done.stderr


def test_no_server_and_no_database_are_said(data: Path, run: Run) -> None:
    done = run("postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 1
    assert done.stderr.startswith("not moved: the database server cannot be reached (connection failed: ")
    assert done.stderr.endswith("refused)\n")
    assert (data / "vidprod.sqlite3").exists()
    (data / "vidprod.sqlite3").rename(data / "elsewhere")
    done = run("postgresql://nobody@127.0.0.1:1/nothing")
    assert "there is no database" in done.stderr
    assert not (data / "vidprod.sqlite3").exists()
