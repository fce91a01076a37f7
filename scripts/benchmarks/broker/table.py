"""The table, as Markdown: medians, and in brackets the ratio to that column of ours whose promise is the nearest."""

from __future__ import annotations

import math

from scripts.benchmarks.broker.candidates import Contestant
from scripts.benchmarks.broker.figures import Figure, Results

__all__ = ["durability", "table"]


def table(results: Results, contestants: list[Contestant]) -> str:
    """Return the lines of all figures that were measured."""
    rows = [["", *(contestant.title for contestant in contestants)], ["---"] * (len(contestants) + 1)]
    rows += [
        [figure.title, *(_cell(results, figure, contestant) for contestant in contestants)]
        for figure in results.figures()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def durability(contestants: list[Contestant]) -> str:
    """Return what stands behind each column."""
    return "\n".join(f"- {contestant.title}: {contestant.durability}." for contestant in contestants)


def _cell(results: Results, figure: Figure, contestant: Contestant) -> str:
    value = results.median(figure, contestant.key)
    if value is None:
        return "–"
    least, greatest = results.spread(figure, contestant.key)
    text = figure.shown(value)
    if least != greatest:
        text += f" [{figure.shown(least)}–{figure.shown(greatest)}]"
    ours = results.median(figure, contestant.compared_to)
    if figure.rated and ours and contestant.key != contestant.compared_to and math.isfinite(ours):
        text += f" ({value / ours:.2f}×)"
    return text
