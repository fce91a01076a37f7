"""The Markdown table: medians, ranges, and ratios to this broker's column of similar durability."""

from __future__ import annotations

import math

from scripts.benchmarks.broker.candidates import Candidate
from scripts.benchmarks.broker.figures import Figure, Results

__all__ = ["durability", "table"]


def table(results: Results, candidates: list[Candidate]) -> str:
    """Return the table of all figures that were measured."""
    rows = [["", *(candidate.title for candidate in candidates)], ["---"] * (len(candidates) + 1)]
    rows += [
        [figure.title, *(_cell(results, figure, candidate) for candidate in candidates)] for figure in results.figures()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def durability(candidates: list[Candidate]) -> str:
    """Return the durability of each candidate."""
    return "\n".join(f"- {candidate.title}: {candidate.durability}." for candidate in candidates)


def _cell(results: Results, figure: Figure, candidate: Candidate) -> str:
    value = results.median(figure, candidate.key)
    if value is None:
        return "–"
    least, greatest = results.spread(figure, candidate.key)
    text = figure.shown(value)
    if least != greatest:
        text += f" [{figure.shown(least)}–{figure.shown(greatest)}]"
    ours = results.median(figure, candidate.compared_to)
    if figure.rated and ours and candidate.key != candidate.compared_to and math.isfinite(ours):
        text += f" ({value / ours:.2f}×)"
    return text
