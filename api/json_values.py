"""Reading JSON that can be stored, and writing JSON that can be read.

Python's `json` reads more than JSON (RFC 8259) and more than it can write: `NaN`, `1e400`, lone surrogates, nesting
that exceeds the recursion limit only when it is written from a deeper stack.
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 64


def read(text: str | bytes) -> Any:  # Any: whatever JSON can hold
    """Return the value of a JSON text.

    Raises:
        ValueError: it is no JSON, is nested deeper than `MAX_DEPTH`, or holds a number or a character that has no
            counterpart in IEEE 754 or UTF-8.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if _is_too_deep(value):
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    return value


def write(value: Any) -> bytes:  # Any: as above
    """Return any value as JSON in UTF-8.

    A lone surrogate is written as its escape, a number that is not finite as null: what is shown comes from files and
    platforms, too, and one broken name must not make a whole list unreadable.
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


def _refuse_constant(name: str) -> Any:  # Any: never returns
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
