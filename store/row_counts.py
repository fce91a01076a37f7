"""Numbers of rows by status, which triggers keep exact: reading them does not depend on the number of rows."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, Table, select

from store.tables import row_counts


def by_status(connection: Connection, table: Table) -> dict[str, int]:
    """Return the number of rows of a table in each status; without those that no row has."""
    counts: Counter[str] = Counter()
    for (_, status), count in by_platform_and_status(connection, table).items():
        counts[status] += count
    return dict(counts)


def by_platform_and_status(connection: Connection, table: Table) -> dict[tuple[str, str], int]:
    """Return the number of rows of a table for each platform and status; without those that no row has."""
    query = select(row_counts.c.platform, row_counts.c.status, row_counts.c.row_count)
    found = connection.execute(query.where(row_counts.c.table_name == table.name, row_counts.c.row_count > 0))
    return {(platform, status): count for platform, status, count in found}
