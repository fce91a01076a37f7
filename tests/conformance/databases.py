"""The databases of a run: files, or those of the PostgreSQL server that CONFORMANCE_SERVER names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from broker import SqliteBroker, SqliteRateLimiterBackend, SqliteResultBackend
from broker.postgresql import PostgresqlBroker, PostgresqlRateLimiterBackend, PostgresqlResultBackend

__all__ = ["RateLimiterBackend", "ResultBackend", "TestedBroker", "new_database", "shared_database"]

SERVER = os.environ.get("CONFORMANCE_SERVER")  # without a database
SHARED = "conformance"

# Any: one of two classes, chosen at run time, which mypy takes as a base only so.
TestedBroker: Any = PostgresqlBroker if SERVER else SqliteBroker
ResultBackend: Any = PostgresqlResultBackend if SERVER else SqliteResultBackend
RateLimiterBackend: Any = PostgresqlRateLimiterBackend if SERVER else SqliteRateLimiterBackend


def shared_database() -> str:
    """Return the database of all processes of the run."""
    return f"{SERVER}/{SHARED}" if SERVER else str(Path(os.environ["CONFORMANCE_FILES"], "shared.sqlite3"))


@contextmanager
def new_database(directory: Path) -> Iterator[str]:
    """Return an empty database for a block."""
    if not SERVER:
        yield str(directory / "queue.sqlite3")
        return
    name = f"conformance_{uuid4().hex}"
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield f"{SERVER}/{name}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
