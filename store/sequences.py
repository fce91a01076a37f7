"""Rising numbers of the events about subjects that are no jobs: accounts, endpoints, platforms."""

from __future__ import annotations

from sqlalchemy import Connection, select

from store import rows
from store.tables import sequences


def next_number(connection: Connection, subject: str) -> int:
    """Count the events of a subject up and return the new number, from 1."""
    rows.upsert(connection, sequences, {"subject": subject, "number": 1}, {"number": sequences.c.number + 1})
    return int(connection.scalar(select(sequences.c.number).where(sequences.c.subject == subject)) or 0)
