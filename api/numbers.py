"""Whole numbers from addresses and queries: plain decimal digits that SQLite can hold.

Python's `int` also reads `1_000`, ` 7 ` and `١٢`, and refuses 4,301 digits with the error of a wrong letter; SQLite's
integers have 64 bits, and `sqlite3` raises OverflowError beyond. Every number that a stranger writes goes through here.
"""

from __future__ import annotations

import re

import falcon
from falcon.routing import IntConverter

from api.problems import Problem

MAX_INTEGER = 2**63 - 1
"""The largest integer that SQLite stores (sqlite.org/datatype3.html, section 2)."""

_DIGITS = re.compile(r"[0-9]{1,19}")


def whole(text: str) -> int | None:
    """Return the number, 0 to `MAX_INTEGER`, or None for other text."""
    if not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_INTEGER else None


class WholeNumber(IntConverter):
    """Falcon's `int` converter for plain digits within 64 bits; else 404."""

    def convert(self, value: str) -> int | None:
        """Return the number, or None when it is out of bounds."""
        return None if whole(value) is None else super().convert(value)


def query_limit(request: falcon.Request, *, default: int, maximum: int) -> int:
    """Return how many entries of a list are asked for.

    Raises:
        Problem: 400 when it is no number from 1 to the maximum.
    """
    text = request.get_param("limit")
    if text is None:
        return default
    number = whole(text)
    if number is None or not 1 <= number <= maximum:
        raise Problem(400, "bad_limit", f"limit: must be a whole number from 1 to {maximum}", field="limit")
    return number
