"""Where the side files of a database lie: bells and leases in one directory beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """Paths of one database; nothing here is data, all of it may be deleted while nobody runs."""

    database: Path

    @cached_property
    def directory(self) -> Path:
        """Directory of the side files."""
        return self.database.with_name(self.database.name + "-broker")

    @cached_property
    def bells(self) -> Path:
        """Directory with a doorbell file per queue."""
        return self.directory / "bells"

    @cached_property
    def leases(self) -> Path:
        """Directory with a locked file per consuming process."""
        return self.directory / "leases"
