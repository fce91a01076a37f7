"""The history of a publication: its newest entries, and the first ones.

An entry like the one before it is counted there and not stored again, so that a day of polling is one row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from store import rows
from store.states import HistoryKind
from store.tables import publication_history as history

KEPT_FIRST = 20  # entries of a publication that are never deleted to make room
KEPT_NEWEST = 180
MAX_TEXT_CHARS = 500
_SAME = ("kind", "step", "text", "method", "host", "path", "http_status", "ids")  # equal in an entry that is repeated


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """An entry. Columns are explained in `store.tables`."""

    at: datetime
    kind: HistoryKind
    text: str
    step: str | None = None
    method: str | None = None
    host: str | None = None
    path: str | None = None
    http_status: int | None = None
    duration_ms: int | None = None
    ids: dict[str, str] | None = None
    until: datetime | None = None
    times: int = 1
    number: int = 0  # given by `append`

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", HistoryKind(self.kind))

    def repeats(self, before: HistoryEntry) -> bool:
        """Return whether this entry is the one before it again."""
        return all(getattr(self, name) == getattr(before, name) for name in _SAME)


@dataclass(frozen=True)
class History:
    """The entries of a publication, the oldest first.

    Attributes:
        entries: at most about 200.
        truncated: entries in the middle, or old ones, were deleted.
    """

    entries: list[HistoryEntry]
    truncated: bool


def append(connection: Connection, publication_id: str, entries: Iterable[HistoryEntry]) -> None:
    """Add entries to the history of a publication, in the transaction of what they tell."""
    last = _last(connection, publication_id)
    for given in entries:
        entry = _bounded(given)
        if last is not None and entry.repeats(last):
            _count_again(connection, publication_id, last, entry)
            continue
        number = 1 if last is None else last.number + 1
        values = {name: getattr(entry, name) for name in HistoryEntry.__dataclass_fields__}
        connection.execute(history.insert().values(**values | {"publication_id": publication_id, "number": number}))
        _make_room(connection, publication_id, number)
        last = replace(entry, number=number)


def _bounded(entry: HistoryEntry) -> HistoryEntry:
    return replace(entry, text=entry.text[:MAX_TEXT_CHARS])


def _last(connection: Connection, publication_id: str) -> HistoryEntry | None:
    query = select(history).where(history.c.publication_id == publication_id)
    return rows.fetch_one(connection, query.order_by(history.c.number.desc()).limit(1), HistoryEntry)


def _count_again(connection: Connection, publication_id: str, last: HistoryEntry, again: HistoryEntry) -> None:
    change = update(history).where(history.c.publication_id == publication_id, history.c.number == last.number)
    connection.execute(change.values(times=history.c.times + 1, until=again.at, duration_ms=again.duration_ms))


def _make_room(connection: Connection, publication_id: str, number: int) -> None:
    """Delete the entry that is too many now, unless it is evidence."""
    oldest = number - KEPT_NEWEST
    if oldest <= KEPT_FIRST:
        return
    connection.execute(
        delete(history).where(
            history.c.publication_id == publication_id,
            history.c.number == oldest,
            history.c.kind != HistoryKind.EVIDENCE,
        )
    )


def of_publication(connection: Connection, publication_id: str) -> History:
    """Return the history of a publication."""
    query = select(history).where(history.c.publication_id == publication_id).order_by(history.c.number)
    found = rows.fetch_all(connection, query, HistoryEntry)
    return History(found, truncated=bool(found) and found[-1].number != len(found))


def purge(connection: Connection, before: datetime) -> int:
    """Delete entries from before a moment; return how many.

    Ids rise with time, so the search ends at the first entry that is kept.
    """
    first_kept = select(history.c.id).where(history.c.at >= before).order_by(history.c.id).limit(1).scalar_subquery()
    everything = select(func.max(history.c.id) + 1).scalar_subquery()
    return connection.execute(delete(history).where(history.c.id < func.coalesce(first_kept, everything))).rowcount
