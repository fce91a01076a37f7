"""The table of all benchmarks as Markdown: one row a line, ratios first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from scripts.benchmarks.summary.row import LIMIT_TEXTS, Line, NotMeasured, Row

__all__ = ["HEAD", "table"]

HEAD = ("ratio", "measured", "VidProd", "beside it", "goal", "benchmark")
NOTHING = "–"


def table(results: Mapping[str, Sequence[Line]]) -> str:
    """Return the table of the lines of each benchmark."""
    rows = [HEAD, ("---:", *["---"] * (len(HEAD) - 1))]
    rows += [(*_cells(line), f"`{name}`") for name, lines in results.items() for line in lines]
    return "\n".join(f"| {' | '.join(map(_escaped, row))} |" for row in rows)


def _cells(line: Line) -> Iterator[str]:
    if isinstance(line, NotMeasured):
        yield from (NOTHING, line.what, f"{'failed' if line.is_failure else 'skipped'}: {line.reason}")
        yield from (NOTHING, NOTHING)
        return
    has_baseline = not math.isnan(line.baseline_value)
    yield f"{number(line.ratio)} ×" if has_baseline else NOTHING
    yield f"{line.what} ({line.better} is better)"
    yield _quantity(line.value, line.unit)
    yield f"{_quantity(line.baseline_value, line.unit)}, {line.baseline}" if has_baseline else NOTHING
    yield _goal(line)


def _goal(row: Row) -> str:
    if row.goal is None:
        return NOTHING
    limit = f"{number(row.goal.limit)} ×" if row.goal.of == "ratio" else _quantity(row.goal.limit, row.unit)
    return f"{LIMIT_TEXTS[row.better]} {limit}: {'met' if row.is_met else 'missed'}"


def _quantity(value: float, unit: str) -> str:
    return "never" if math.isinf(value) else f"{number(value)} {unit}".strip()


def number(value: float) -> str:
    """Return a number with two or three significant digits and separated thousands."""
    size = abs(value)
    if math.isinf(value):
        return "∞"
    if size >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.{0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 0.1 else 3}f}"


def _escaped(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;")  # errors contain tags: <urlopen …>
