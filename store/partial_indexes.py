"""The conditions of the partial indexes of `store.tables`.

SQLite uses a partial index only for a query that repeats the index's condition literally, with the values in the
statement instead of in parameters. So queries take the condition from here, and combine it with others by AND.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, FromClause, and_, literal_column

from store.states import PublicationStatus, SegmentStatus

HELD = "held"  # code of a waiting publication after one that was not published


def is_open(publications: FromClause) -> ColumnElement[bool]:
    """Return the condition that a publication waits, is under way, or that its outcome is unknown."""
    statuses = (PublicationStatus.WAITING, PublicationStatus.PUBLISHING, PublicationStatus.OUTCOME_UNKNOWN)
    return _is_one_of(publications.c.status, statuses)


def is_under_way(publications: FromClause) -> ColumnElement[bool]:
    """Return the condition that the steps of a publication are being executed."""
    return _is(publications.c.status, PublicationStatus.PUBLISHING)


def is_unpublished(publications: FromClause) -> ColumnElement[bool]:
    """Return the condition that a publication failed or expired."""
    return _is_one_of(publications.c.status, (PublicationStatus.FAILED, PublicationStatus.EXPIRED))


def is_held(publications: FromClause) -> ColumnElement[bool]:
    """Return the condition that a publication waits for an earlier one that was not published."""
    return and_(_is(publications.c.status, PublicationStatus.WAITING), _is(publications.c.code, HELD))


def is_wanted_now(publications: FromClause) -> ColumnElement[bool]:
    """Return the condition that a waiting publication is to start at once."""
    return and_(_is(publications.c.status, PublicationStatus.WAITING), publications.c.publish_now_at.is_not(None))


def has_own_time(publications: FromClause) -> ColumnElement[bool]:
    """Return the condition that a publication has a time of its own."""
    return publications.c.publish_after.is_not(None)


def is_started(publications: FromClause) -> ColumnElement[bool]:
    """Return the condition that a publication has begun at some time."""
    return publications.c.started_at.is_not(None)


def is_not_ended(segments: FromClause) -> ColumnElement[bool]:
    """Return the condition that a part is not rendered and has not failed."""
    return _is_one_of(segments.c.status, (SegmentStatus.PENDING, SegmentStatus.RENDERING))


def _is(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    return column == literal_column(f"'{value}'")


def _is_one_of(column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    return column.in_([literal_column(f"'{value}'") for value in values])
