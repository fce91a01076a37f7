"""The path of a database file."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["file_path"]

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # `Path` makes one slash of two


def file_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a database file.

    Raises:
        ValueError: it is a URL; a directory with the name of a server, and with a password, would be made for it.
    """
    if _URL.match(os.fspath(path)):
        scheme = os.fspath(path).partition(":")[0]
        raise ValueError(f"a URL is no path of a file; one in a directory with this name is ./{scheme}:/…")
    return Path(path).resolve()
