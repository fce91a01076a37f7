"""Figures: the titles, units and values of measurements."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

__all__ = ["NEVER", "Figure", "Results"]

NEVER = math.inf  # of a time: it did not happen before the timeout


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table."""

    title: str
    decimals: int = 0
    rated: bool = True  # False: a ratio to this broker is meaningless

    def shown(self, value: float) -> str:
        """Return a value as text."""
        return "never" if math.isinf(value) else f"{value:,.{self.decimals}f}"


@dataclass(slots=True)
class Results:
    """All values of a run, by figure and candidate, in the order of the table."""

    values: dict[tuple[Figure, str], list[float]] = field(default_factory=dict)

    def add(self, candidate: str, figures: dict[Figure, float]) -> None:
        """Add the values of a round."""
        for figure, value in figures.items():
            self.values.setdefault((figure, candidate), []).append(value)

    def figures(self) -> list[Figure]:
        """Return the rows of the table."""
        return list(dict.fromkeys(figure for figure, _ in self.values))

    def median(self, figure: Figure, candidate: str) -> float | None:
        """Return the median over the rounds, None if nothing was measured."""
        values = self.values.get((figure, candidate))
        return statistics.median(values) if values else None

    def spread(self, figure: Figure, candidate: str) -> tuple[float, float]:
        """Return the lowest and the highest value."""
        values = self.values[(figure, candidate)]
        return min(values), max(values)
