"""A store on a file of its own with the broker's write lock, or on a database of its own of a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from broker import WriteLock
from broker.postgresql import connect
from store import Store
from store.postgresql import PostgresqlStore
from store.sqlite import SqliteStore
from tests.postgresql_server import PostgresqlServer


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "store.sqlite3"
    made = SqliteStore(path, write_lock=WriteLock(path), joining=lambda _: nullcontext())
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def store(sqlite: Store) -> Store:
    return sqlite


@pytest.fixture(scope="session")
def server(postgresql_server: PostgresqlServer) -> PostgresqlServer:
    return postgresql_server


def store_url(server: PostgresqlServer, database: str) -> str:
    return server.url(database).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="session")
def migrated(server: PostgresqlServer) -> str:
    """Return a database with all tables, from which others are made quickly."""
    name = server.create_database()
    made = PostgresqlStore(store_url(server, name), connect=connect, joining=lambda _: nullcontext())
    made.migrate()
    made.close()
    return name


@pytest.fixture
def postgresql(server: PostgresqlServer, migrated: str) -> Iterator[PostgresqlStore]:
    name = server.create_database(migrated)
    made = PostgresqlStore(store_url(server, name), connect=connect, joining=lambda _: nullcontext())
    yield made
    made.close()
    server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Store:
    """Return a store on each engine in turn."""
    made: Store = request.getfixturevalue(request.param)
    return made
