"""Copies all rows of a store to an empty one on another engine, and compares them.

Rows are read by the types of `store.tables`, so that each engine stores them in its own form. `row_counts` is not
copied: triggers count the rows that are inserted.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Row, Table, func, insert, select

from store.tables import Text, metadata, row_counts

__all__ = ["NotEmpty", "RowsDiffer", "copy_rows", "require_equal"]

ROWS_PER_BATCH = 500
COPIED: tuple[Table, ...] = tuple(table for table in metadata.sorted_tables if table is not row_counts)


class NotEmpty(Exception):
    """The database has rows of its own; the message names the table. Use an empty database."""


class RowsDiffer(Exception):
    """A copied row is not equal to its original; the message names it. Do not commit."""


def copy_rows(source: Connection, target: Connection) -> dict[str, int]:
    """Copy the rows of all tables; return their numbers by the names of the tables.

    Args:
        source: a snapshot of a store of this version.
        target: a transaction of an empty store of this version; the caller commits it.

    Raises:
        NotEmpty: the target has rows.
    """
    for table in COPIED:
        if target.execute(select(1).select_from(table).limit(1)).first() is not None:
            raise NotEmpty(f"the table {table.name} has rows already")
    copied = {}
    for table in COPIED:
        copied[table.name] = 0
        for rows in _all(source, table).partitions(ROWS_PER_BATCH):
            target.execute(insert(table), [row._asdict() for row in rows])
            copied[table.name] += len(rows)
        _continue_numbers(target, table)
    return copied


def require_equal(source: Connection, target: Connection) -> None:
    """Compare all rows of both stores, one by one, as this version reads them.

    Raises:
        RowsDiffer: a row is missing, additional or different.
    """
    for table in COPIED:
        for original, copy in zip_longest(_all(source, table), _all(target, table)):
            if original is None or copy is None or _storable(table, original, target) != tuple(copy):
                raise RowsDiffer(f"the table {table.name} differs at the row {_key(table, original or copy)}")


def _all(connection: Connection, table: Table) -> Any:  # Any: a result, as the connection's options make it
    """Return the rows of a table in the order of their keys, without holding all of them."""
    # The order of characters is that of their codes on both engines.
    keys = [
        column.collate("C") if isinstance(column.type, Text) and connection.dialect.name == "postgresql" else column
        for column in table.primary_key.columns
    ]
    options = {"stream_results": True, "yield_per": ROWS_PER_BATCH}
    return connection.execute(select(table).order_by(*keys), execution_options=options)


def _storable(table: Table, row: Row[Any], target: Connection) -> tuple[Any, ...]:  # Any: of the columns' types
    """Return a row as the target can store it: not every engine stores each character."""
    return tuple(
        column.type.process_bind_param(value, target.dialect) if isinstance(column.type, Text) else value
        for column, value in zip(table.columns, row, strict=True)
    )


def _key(table: Table, row: Row[Any]) -> str:
    values = row._asdict()
    return ", ".join(str(values[column.name]) for column in table.primary_key.columns)


def _continue_numbers(target: Connection, table: Table) -> None:
    """Let the numbers of new rows follow those that were copied."""
    column = table.autoincrement_column
    if column is None or target.dialect.name != "postgresql":
        return
    highest = target.scalar(select(func.max(column)))
    if highest is not None:
        target.execute(select(func.setval(func.pg_get_serial_sequence(table.name, column.name), highest)))
