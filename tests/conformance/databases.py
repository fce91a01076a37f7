"""The databases of a run: files, or those of the PostgreSQL server that CONFORMANCE_SERVER names.

With CONFORMANCE_REDIS, workers are woken through that Redis server: each database has a relay, and a number there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import redis

from broker import SqliteBroker, SqliteRateLimiterBackend, SqliteResultBackend
from broker.postgresql import PostgresqlBroker, PostgresqlRateLimiterBackend, PostgresqlResultBackend
from broker.relay import Relay, RelayedBroker

__all__ = ["RateLimiterBackend", "ResultBackend", "TestedBroker", "new_database", "relaying", "shared_database"]

SERVER = os.environ.get("CONFORMANCE_SERVER")  # without a database
REDIS = os.environ.get("CONFORMANCE_REDIS")  # without a number
SHARED = "conformance"


class _RelayedBroker(RelayedBroker):
    """A broker with the transport that belongs to its database."""

    def __init__(self, url: str, **options: Any) -> None:  # Any: as `RelayedBroker` takes them
        super().__init__(url, transport_url(url), **options)


_RelayedBroker.__name__ = RelayedBroker.__name__

# Any: one of three classes, chosen at run time, which mypy takes as a base only so.
TestedBroker: Any = _RelayedBroker if REDIS else PostgresqlBroker if SERVER else SqliteBroker
ResultBackend: Any = PostgresqlResultBackend if SERVER else SqliteResultBackend
RateLimiterBackend: Any = PostgresqlRateLimiterBackend if SERVER else SqliteRateLimiterBackend


def shared_database() -> str:
    """Return the database of all processes of the run."""
    return f"{SERVER}/{SHARED}" if SERVER else str(Path(os.environ["CONFORMANCE_FILES"], "shared.sqlite3"))


def transport_url(database_url: str) -> str:
    """Return the URL of the tokens of a database: at most one other than the shared one is in use."""
    return f"{REDIS}/{0 if database_url.endswith(f'/{SHARED}') else 1}"


@contextmanager
def relaying(database_url: str) -> Iterator[None]:
    """Run a relay for a database during a block, if workers are woken through Redis."""
    if not REDIS:
        yield
        return
    with redis.Redis.from_url(transport_url(database_url)) as client:
        client.flushdb()  # tokens of the database before
    relay = Relay(database_url, transport_url(database_url))
    relay.start()
    yield
    relay.close()


@contextmanager
def new_database(directory: Path) -> Iterator[str]:
    """Return an empty database for a block."""
    if not SERVER:
        yield str(directory / "queue.sqlite3")
        return
    name = f"conformance_{uuid4().hex}"
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        with relaying(url := f"{SERVER}/{name}"):
            yield url
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
