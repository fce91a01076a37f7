"""The dependencies of the resources, which read no environment and no clock of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from actors.machine import Machine
from api.http.auth import ApiKeys
from api.http.idempotency import InProgress
from broker import SqliteBroker
from platforms.http.hosts import Roots
from settings import Settings
from store import Sealer, Store
from store.boot_clock import BootTime


@dataclass(frozen=True, kw_only=True)
class Context:
    """The dependencies of the application.

    Attributes:
        machine: first argument of the functions in `actors.flow`; its clock is the real one also in tests.
        new_id: returns a random, unguessable id with the given prefix.
        behind_fly: requests come through Fly's proxy, which sends the client's address in Fly-Client-IP.
        now: the clock; returns an aware time in UTC.
        boot_time: the clock that is never set.
        started_s: start of this process by `boot_time`; a machine that has just started may lack a scheduler tick.
        pages: directory of the files of the web page.
        in_progress: requests with an idempotency key that this process is receiving.
    """

    settings: Settings
    store: Store
    broker: SqliteBroker
    sealer: Sealer
    hosts: Roots
    machine: Machine
    keys: ApiKeys
    now: Callable[[], datetime]
    boot_time: Callable[[], BootTime]
    new_id: Callable[[str], str]
    behind_fly: bool
    started_s: float
    pages: Path
    in_progress: InProgress = field(default_factory=InProgress)

    def now_s(self) -> float:
        """Return the seconds since the machine booted."""
        return self.boot_time().seconds

    def in_data(self, relative: str) -> Path:
        """Return the absolute path of a path stored relative to the data directory."""
        return self.settings.data_dir.resolve() / relative
