"""Strict JSON (RFC 8259): parsing and serialization.

Python's `json` accepts more than JSON, and values that it cannot write again: `NaN`, `1e400`, lone surrogates, and
nesting that exceeds the recursion limit only when it is written from a deeper stack.
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 64


def read(text: str | bytes) -> Any:  # Any: a JSON value
    """Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, is nested deeper than `MAX_DEPTH`, or contains a number or character that IEEE 754
            or UTF-8 cannot represent.
    """
    try:
        value = json.loads(text, parse_constant=_reject_constant)
        if _is_too_deep(value):
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    return value


def write(value: Any) -> bytes:  # Any: as above
    """Return a value as JSON in UTF-8.

    Lone surrogates are written as escapes, and numbers that are not finite as null: a malformed name from a file or a
    platform must not make a whole list unreadable.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False)
    return text.encode(errors="backslashreplace")


def _finite(value: Any) -> Any:  # Any: as above
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _reject_constant(name: str) -> Any:  # Any: never returns
    raise ValueError(f"{name} is not JSON")


def _is_too_deep(value: Any) -> bool:  # Any: as above
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _items(outer)]
        if not level:
            return False
    return True


def _items(value: Any) -> list[Any]:  # Any: as above
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
