"""Rising numbers of the events about subjects that are no jobs: accounts, endpoints, platforms."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from store.tables import sequences


def next_number(connection: Connection, subject: str) -> int:
    """Count the events of a subject up and return the new number, from 1."""
    change = update(sequences).where(sequences.c.subject == subject).values(number=sequences.c.number + 1)
    if connection.execute(change).rowcount == 0:
        connection.execute(sequences.insert().values(subject=subject, number=1))
    return int(connection.scalar(select(sequences.c.number).where(sequences.c.subject == subject)) or 0)
