"""The table of the last complete run in README.md, between two markers."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.benchmarks.summary.environment import ROOT

__all__ = ["README", "NoPlace", "section", "write"]

README = ROOT / "README.md"
_SECTION = re.compile(r"(<!-- benchmarks -->\n)(.*?)(<!-- end: benchmarks -->)", re.S)


class NoPlace(Exception):
    """The file has no markers for the table."""


def section(readme: Path = README) -> str:
    """Return the text between the markers.

    Raises:
        NoPlace: there are none.
    """
    found = _SECTION.search(readme.read_text(encoding="utf-8"))
    if found is None:
        raise NoPlace(f"{readme.name} has no markers for the table of benchmarks")
    return found[2]


def write(text: str, readme: Path = README) -> None:
    """Replace the text between the markers.

    Raises:
        NoPlace: there are none.
    """
    section(readme)
    before = readme.read_text(encoding="utf-8")
    readme.write_text(_SECTION.sub(lambda found: found[1] + text + found[3], before), encoding="utf-8")
