"""Figures: what a measurement returns, and how its name and unit are shown."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

__all__ = ["NEVER", "Figure", "Results"]

NEVER = math.inf  # of a time: it did not happen while we waited


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table."""

    title: str
    decimals: int = 0
    rated: bool = True  # whether a ratio to ours says something

    def shown(self, value: float) -> str:
        """Return a value as text."""
        return "never" if math.isinf(value) else f"{value:,.{self.decimals}f}"


@dataclass(slots=True)
class Results:
    """All values of a run, by figure and contestant, in the order of the table."""

    values: dict[tuple[Figure, str], list[float]] = field(default_factory=dict)

    def add(self, contestant: str, figures: dict[Figure, float]) -> None:
        """Note what a round brought."""
        for figure, value in figures.items():
            self.values.setdefault((figure, contestant), []).append(value)

    def figures(self) -> list[Figure]:
        """Return the lines."""
        return list(dict.fromkeys(figure for figure, _ in self.values))

    def median(self, figure: Figure, contestant: str) -> float | None:
        """Return the median over the rounds, None where nothing was measured."""
        values = self.values.get((figure, contestant))
        return statistics.median(values) if values else None

    def spread(self, figure: Figure, contestant: str) -> tuple[float, float]:
        """Return the least and the greatest value."""
        values = self.values[(figure, contestant)]
        return min(values), max(values)
