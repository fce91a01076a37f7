"""Licences of the packages in requirements.txt, read from the metadata of the installed packages."""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

__all__ = ["UnknownLicence", "table"]

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==[^\s;]+(?:\s*;\s*([^\\]+))?", re.M)
_CLASSIFIER = "License :: OSI Approved :: "
LONGEST = 80  # characters of a licence's name; longer texts are the licence itself


class UnknownLicence(Exception):
    """A package's metadata names no licence."""


def table(root: Path) -> str:
    """Return a Markdown table of all packages that are installed on Linux, with their licences.

    Raises:
        UnknownLicence: the metadata of a package names none.
        PackageNotFoundError: a package is not installed.
    """
    names = {name for name, marker in _PINNED.findall((root / "requirements.txt").read_text()) if "win32" not in marker}
    rows = [f"| {name} | {licence(metadata(name))} |" for name in sorted(names)]
    return "\n".join(["| package | licence |", "|---|---|", *rows, ""])


def licence(package: PackageMetadata) -> str:
    """Return the licence that a package's metadata names: the expression, else the short text, else the classifiers.

    Raises:
        UnknownLicence: there is none of these.
    """
    texts = [*(package.get_all("License-Expression") or ()), *(package.get_all("License") or ())]
    for text in texts:
        if len(text) <= LONGEST and "\n" not in text:
            return str(text)
    classifiers = [text.removeprefix(_CLASSIFIER) for text in package.get_all("Classifier") or ()]
    names = [text for text in classifiers if "License" in text and "::" not in text]
    if not names:
        raise UnknownLicence(f"the metadata of {package['Name']} names no licence")
    return ", ".join(names)
