"""Finds files by their bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["files_with"]


def files_with(root: Path, marker: str) -> list[str]:
    """Return the files below a directory that contain a text; also a database and its log.

    Another process reads them: one that opens and closes the live database loses its locks on it.
    """
    command = ["grep", "--recursive", "--files-with-matches", "--text", "--fixed-strings", "--regexp", marker, "."]
    found = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    assert found.returncode in {0, 1}  # 1: none
    return sorted(line.removeprefix("./") for line in found.stdout.splitlines())
