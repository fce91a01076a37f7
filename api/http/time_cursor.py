"""Cursors of lists that are ordered by a time and an id."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

import falcon

from api.http.problems import Problem

Position = tuple[datetime, str]  # time and id of an entry


def write(position: Position) -> str:
    """Return the cursor that stands for an entry."""
    return base64.urlsafe_b64encode(f"{position[0].isoformat()} {position[1]}".encode()).decode()


def next_page(found: Sequence[Position], limit: int) -> str | None:
    """Return the cursor of the next page; None on the last one.

    Args:
        found: the entries of the page, and one more if there is one.
        limit: number of entries of a page.
    """
    return write(found[limit - 1]) if len(found) > limit else None


def query(request: falcon.Request) -> Position | None:
    """Return the entry of the query parameter `cursor`; None on the first page.

    Raises:
        Problem: 400 if it is no cursor.
    """
    cursor = request.get_param("cursor")
    return None if cursor is None else _read(cursor)


def _read(cursor: str) -> Position:
    try:
        text, _, name = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not name:
            raise ValueError
        moment = moment.astimezone(UTC)  # raises OverflowError at either end of the calendar
    except (ValueError, OverflowError):
        raise bad_cursor() from None
    return moment, name


def bad_cursor() -> Problem:
    """Return the problem of a cursor that is none."""
    return Problem(400, "bad_cursor", "cursor: must be the `next` of an earlier page", field="cursor")
