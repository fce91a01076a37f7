"""The dependencies of the resources, which read no environment and no clock of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from actors.flow.forecast_cache import ForecastCache
from actors.flow.platform_reads import PlatformReads
from actors.machine import Machine
from api.http.auth import ApiKeys
from api.http.connection_counters import ConnectionCounters
from api.http.idempotency import InProgress
from api.resources.stored_files import StoredFiles
from api.tus.receiving import Receptions
from api.uploads.reservations import Reservations


@dataclass(frozen=True, kw_only=True)
class Context(Machine):
    """The machine of a process that serves the API, and what only the API needs.

    Attributes:
        keys: the API keys.
        behind_fly: requests come through Fly's proxy, which sends the client's address in Fly-Client-IP.
        started_s: start of this process by `boot_time`; a machine that has just started may lack a scheduler tick.
        pages: directory of the files of the web page.
        in_progress: requests with an idempotency key that this process is receiving.
        reservations: of disk space, by the uploads that this process is receiving.
        connection_counters: connections and requests that the server refused.
        forecasts: of the waiting publications.
        platform_reads: answers of platforms about accounts, kept for a minute.
        receptions: resumable uploads that this process is receiving.
        stored_files: of jobs, for their status documents.
    """

    keys: ApiKeys
    behind_fly: bool
    started_s: float
    pages: Path
    in_progress: InProgress = field(default_factory=InProgress)
    reservations: Reservations = field(default_factory=Reservations)
    connection_counters: ConnectionCounters = field(default_factory=ConnectionCounters)
    forecasts: ForecastCache = field(default_factory=ForecastCache)
    platform_reads: PlatformReads = field(default_factory=PlatformReads)
    receptions: Receptions = field(default_factory=Receptions)
    stored_files: StoredFiles = field(default_factory=StoredFiles)

    def now_s(self) -> float:
        """Return the seconds since the machine booted."""
        return self.boot_time().seconds
