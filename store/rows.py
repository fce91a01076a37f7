"""Builds frozen values from selected rows."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select

Value = TypeVar("Value")


def fetch_one(connection: Connection, query: Select[Any], kind: type[Value]) -> Value | None:  # Any: a column's type
    """Return the single row of a query as a value, or None."""
    row = connection.execute(query).one_or_none()
    return None if row is None else build(row, kind)


def fetch_all(connection: Connection, query: Select[Any], kind: type[Value]) -> list[Value]:  # Any: as above
    """Return all rows of a query as values."""
    return [build(row, kind) for row in connection.execute(query)]


def build(row: Row[Any], kind: type[Value]) -> Value:  # Any: as above
    """Build a dataclass from the columns with the names of its fields."""
    columns = row._mapping  # noqa: SLF001 (SQLAlchemy's public name for it)
    return kind(**{field.name: columns[field.name] for field in fields(kind)})  # type: ignore[arg-type]  # a dataclass by contract
