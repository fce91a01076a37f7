"""Measures queries: the instructions that SQLite executes, and the indexes that it uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection


@dataclass
class Count:
    """Instructions of SQLite's virtual machine, in hundreds."""

    hundreds: int = 0


@contextmanager
def counted(connection: Connection) -> Iterator[Count]:
    """Count the instructions that are executed meanwhile. Statements of which SQLite has no copy yet cost more."""
    count = Count()

    def note() -> int:
        count.hundreds += 1
        return 0

    driver = _driver(connection)
    driver.set_progress_handler(note, 100)
    try:
        yield count
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def traced(connection: Connection) -> Iterator[list[str]]:
    """Collect the statements that are executed meanwhile, with their values."""
    statements: list[str] = []
    driver = _driver(connection)
    driver.set_trace_callback(statements.append)
    try:
        yield statements
    finally:
        driver.set_trace_callback(None)


def query_plans(connection: Connection, statements: list[str]) -> list[str]:
    """Return the lines of EXPLAIN QUERY PLAN of all statements."""
    return [row[3] for one in statements for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}")]


def _driver(connection: Connection) -> Any:  # Any: of sqlite3, which SQLAlchemy does not declare
    return connection.connection.driver_connection
