"""The small pictures of parts: covers and previews that are kept for some time after the videos are deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

SUFFIX = ".small.jpg"


def small(picture: Path) -> Path:
    """Return the path of the small copy of a cover or a preview."""
    return picture.with_suffix(SUFFIX)


def remove_others(directory: Path) -> bool:
    """Delete all files of a directory but small pictures; return whether there were any."""
    others = [path for path in directory.iterdir() if not path.name.endswith(SUFFIX)] if directory.exists() else []
    for path in others:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return bool(others)
