"""What the resources work with, handed to each of them: no resource reads the environment or makes its own clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from actors.machine import Machine
from api.http.auth import Keys
from api.http.idempotency import InProgress
from broker import SqliteBroker
from platforms.http.hosts import Hosts
from settings import Settings
from store import Sealer, Store


@dataclass(frozen=True, kw_only=True)
class Context:
    """The door's dependencies.

    Attributes:
        machine: first argument of the functions in `actors.flow`; its clock is the real one also in tests.
        new_id: makes an id that nobody can guess, with the given prefix.
        behind_fly: requests come through Fly's proxy, whose header names the client.
        started_at: when this process began; a machine that has just started may still lack a tick.
        pages: the directory of the pages' files.
        in_progress: the keyed requests that this process is receiving.
    """

    settings: Settings
    store: Store
    broker: SqliteBroker
    sealer: Sealer
    hosts: Hosts
    machine: Machine
    keys: Keys
    now: Callable[[], datetime]
    new_id: Callable[[str], str]
    behind_fly: bool
    started_at: datetime
    pages: Path
    in_progress: InProgress = field(default_factory=InProgress)

    def in_data(self, relative: str) -> Path:
        """Return the absolute path of a file whose path is stored relative to the data directory."""
        return self.settings.data_dir.resolve() / relative
