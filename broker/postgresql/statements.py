"""Translation of the shared statements, which are written for SQLite, into PostgreSQL's language."""

from __future__ import annotations

import re
from functools import cache
from itertools import count

__all__ = ["translated_statement"]

_REPLACED = (
    (re.compile(r"\s+INDEXED BY \w+"), ""),  # PostgreSQL's planner has statistics
    (re.compile(r"/\*postgresql (.*?)\*/", re.DOTALL), r"\1"),
    (re.compile(r"\binstr\("), "strpos("),
    (re.compile(r"json_each\(\?\) AS (\w+)"), r"jsonb_array_elements_text(CAST(? AS jsonb)) AS \1 (value)"),
    (re.compile(r"\bCROSS JOIN\b"), "JOIN"),  # SQLite's keeps the order of a join, and may have a condition
    (re.compile(r"\?(\d+)"), r"$\1"),
)
_PLACEHOLDER = re.compile(r"\?")


@cache
def translated_statement(sql: str) -> str:
    """Return a shared statement as PostgreSQL runs it, with placeholders $1, $2 and so on."""
    for pattern, replacement in _REPLACED:
        sql = pattern.sub(replacement, sql)
    numbers = count(1)
    return _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", sql)
