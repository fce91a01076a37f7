"""Numbers of rows by status, which triggers keep exact: reading them does not depend on the number of rows."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, Table, delete, insert, select

from store import rows
from store.locks import is_shared
from store.tables import row_counts


def by_status(connection: Connection, table: Table) -> dict[str, int]:
    """Return the number of rows of a table in each status; without those that no row has."""
    counts: Counter[str] = Counter()
    for (_, status), count in by_platform_and_status(connection, table).items():
        counts[status] += count
    return dict(counts)


def by_platform_and_status(connection: Connection, table: Table) -> dict[tuple[str, str], int]:
    """Return the number of rows of a table for each platform and status; without those that no row has."""
    number = rows.total(row_counts.c.row_count)
    query = select(row_counts.c.platform, row_counts.c.status, number).where(row_counts.c.table_name == table.name)
    found = connection.execute(query.group_by(row_counts.c.platform, row_counts.c.status).having(number > 0))
    return {(platform, status): count for platform, status, count in found}


def compact(connection: Connection) -> None:
    """Add the rows of each status up, where triggers add a row for each change (PostgreSQL).

    Readers and triggers do not wait for it, and what is committed meanwhile stays a row of its own.
    """
    if not is_shared(connection):
        return
    gone = delete(row_counts).returning(*row_counts.c).cte("gone")
    sums = select(gone.c.table_name, gone.c.platform, gone.c.status, rows.total(gone.c.row_count))
    sums = sums.group_by(gone.c.table_name, gone.c.platform, gone.c.status)
    connection.execute(insert(row_counts).from_select(["table_name", "platform", "status", "row_count"], sums))
