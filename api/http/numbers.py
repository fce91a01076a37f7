"""Integers in paths and queries: decimal digits that fit into SQLite's 64 bits.

Python's `int` also accepts `1_000`, ` 7 ` and `١٢`, and raises ValueError for 4,301 digits. `sqlite3` raises
OverflowError for more than 64 bits.
"""

from __future__ import annotations

import re

import falcon
from falcon.routing import IntConverter

from api.http.problems import Problem

MAX_INTEGER = 2**63 - 1
"""The largest integer that SQLite stores (sqlite.org/datatype3.html, section 2)."""

_DIGITS = re.compile(r"[0-9]{1,19}")


def parse_integer(text: str) -> int | None:
    """Return the number, 0 to `MAX_INTEGER`, or None for other text."""
    if not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_INTEGER else None


def readable_bytes(size: int) -> str:
    """Return a size for people, such as "1.5 GB", rounded up to a tenth of a unit."""
    unit, factor = ("GB", 10**9) if size >= 10**9 else ("MB", 10**6)
    return f"{-(-size * 10 // factor) / 10:g} {unit}"


class Int64Converter(IntConverter):
    """Falcon's `int` converter, limited to plain digits within 64 bits; else 404."""

    def convert(self, value: str) -> int | None:
        """Return the number, or None when it is out of bounds."""
        return None if parse_integer(value) is None else super().convert(value)


def query_limit(request: falcon.Request, *, default: int, maximum: int) -> int:
    """Return the query parameter `limit`: the maximum number of entries.

    Raises:
        Problem: 400 if it is not a whole number from 1 to the maximum.
    """
    text = request.get_param("limit")
    if text is None:
        return default
    number = parse_integer(text)
    if number is None or not 1 <= number <= maximum:
        raise Problem(400, "bad_limit", f"limit: must be a whole number from 1 to {maximum}", field="limit")
    return number
