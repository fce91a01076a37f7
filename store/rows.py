"""Builds frozen values from selected rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, cast, func
from sqlalchemy.dialects import sqlite

Value = TypeVar("Value")


def fetch_one(connection: Connection, query: Select[Any], kind: type[Value]) -> Value | None:  # Any: a column's type
    """Return the single row of a query as a value, or None."""
    row = connection.execute(query).one_or_none()
    return None if row is None else build(row, kind)


def fetch_all(connection: Connection, query: Select[Any], kind: type[Value]) -> list[Value]:  # Any: as above
    """Return all rows of a query as values."""
    return [build(row, kind) for row in connection.execute(query)]


def upsert(
    connection: Connection, table: Table, values: Mapping[str, Any], changes: Mapping[str, Any] | None = None
) -> None:  # Any: as many types as columns
    """Insert a row, or change the one with the same primary key, also if another transaction inserts it meanwhile.

    Args:
        connection: inside `Store.writing`.
        table: of the row.
        values: of the new row, with its primary key.
        changes: of an existing row; None: the values that are not its key.
    """
    keys = [column.name for column in table.primary_key]
    if connection.dialect.name == "sqlite":
        insert: Any = sqlite.insert(table)  # Any: both dialects have a class of their own
    else:
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 (memory that SQLite does not need)

        insert = postgresql.insert(table)
    changed = {name: value for name, value in values.items() if name not in keys} if changes is None else changes
    connection.execute(insert.values(**values).on_conflict_do_update(index_elements=keys, set_=changed))


def total(column: ColumnElement[Value]) -> ColumnElement[Value]:
    """Return the sum of a column in the column's own type; 0 without rows.

    Not `sum` alone: PostgreSQL's sum of whole numbers is a decimal number, which Python does not multiply by a float.
    """
    return cast(func.coalesce(func.sum(column), 0), column.type)


def build(row: Row[Any], kind: type[Value]) -> Value:  # Any: as above
    """Build a dataclass from the columns with the names of its fields."""
    columns = row._mapping  # noqa: SLF001 (SQLAlchemy's public name for it)
    return kind(**{field.name: columns[field.name] for field in fields(kind)})  # type: ignore[arg-type]  # a dataclass by contract
