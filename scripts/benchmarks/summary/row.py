"""Rows of the table of all benchmarks; they are passed between processes as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Goal", "Line", "NotMeasured", "Row", "from_json", "to_json"]

LIMIT_TEXTS = {"less": "≤", "more": "≥"}


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit for this project's value, or for its ratio to the baseline."""

    limit: float
    of: Literal["value", "ratio"] = "value"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value of this project beside the same value of a baseline."""

    what: str
    value: float
    unit: str
    baseline: str = ""  # its name; empty if there is none
    baseline_value: float = math.nan  # infinite: it did not happen in the time of the benchmark
    better: Literal["less", "more"] = "less"
    goal: Goal | None = None

    @property
    def ratio(self) -> float:
        """This project's value divided by the baseline's; NaN if there is no baseline."""
        if not self.baseline_value:
            return math.inf if self.value else 1.0
        return self.value / self.baseline_value

    @property
    def is_met(self) -> bool | None:
        """Return whether the goal is met; None if there is none."""
        if self.goal is None:
            return None
        reached = self.value if self.goal.of == "value" else self.ratio
        return reached <= self.goal.limit if self.better == "less" else reached >= self.goal.limit


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A line in place of a row that could not be measured."""

    what: str
    reason: str
    is_failure: bool = False  # False: a tool or a right is missing


Line = Row | NotMeasured


def to_json(line: Line) -> str:
    """Return a line as JSON, without line breaks."""
    return json.dumps(asdict(line))


def from_json(text: str) -> Line:
    """Return the line that JSON describes."""
    fields = json.loads(text)
    if "reason" in fields:
        return NotMeasured(**fields)
    goal = fields.pop("goal")
    return Row(**fields, goal=Goal(**goal) if goal else None)
