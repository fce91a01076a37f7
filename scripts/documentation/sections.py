"""Generated sections of Markdown files, each between `<!-- generated: NAME -->` and `<!-- end: NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scripts.documentation import imports, licences

__all__ = ["outdated", "write"]

ROOT = Path(__file__).resolve().parents[2]

SECTIONS: dict[str, dict[str, Callable[[Path], str]]] = {  # file → section → its text
    "docs/architecture.md": {
        "packages": imports.packages,
        **{name: partial(imports.folders, package=name) for name in ("actors", "api", "broker", "media", "platforms")},
    },
    "THIRD-PARTY.md": {"licences": licences.table},
}


def outdated() -> list[str]:
    """Return "FILE: SECTION" for each section whose text differs from the generated one."""
    return [
        f"{name}: {section}"
        for name, sections in SECTIONS.items()
        for section, generate in sections.items()
        if _current(ROOT / name, section) != generate(ROOT)
    ]


def write() -> None:
    """Replace every section by its generated text."""
    for name, sections in SECTIONS.items():
        path = ROOT / name
        for section, generate in sections.items():
            text = path.read_text(encoding="utf-8")
            if found := _pattern(section).search(text):
                path.write_text(text.replace(found[0], found[1] + generate(ROOT) + found[3]), encoding="utf-8")


def _current(path: Path, section: str) -> str | None:
    found = _pattern(section).search(path.read_text(encoding="utf-8"))
    return found[2] if found else None


def _pattern(section: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- generated: {section} -->\n)(.*?)(<!-- end: {section} -->)", re.S)
