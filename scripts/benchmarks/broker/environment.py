"""The arena: the scratch directory, the running servers, and fresh places for each contestant."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from scripts.benchmarks.broker.candidates import Contestant
from scripts.benchmarks.broker.servers import Server
from scripts.benchmarks.broker.target import Place

__all__ = ["FULL_SIZES", "QUICK_SIZES", "Arena", "Sizes"]

_numbers = count()


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    latency_messages: int  # a round
    idle_s: float
    messages: int  # of enqueue and drain
    backlog: int
    backlog_pairs: int  # interleaved measurements with little and with much waiting, a round
    jobs: int  # of the kill
    job_ms: int
    patience_s: float  # how long to wait for what may never come back
    limit_s: float  # a physical limit


FULL_SIZES = Sizes(200, 30.0, 10_000, 1_000_000, 5, 2_000, 20, 60.0, 1.5)
QUICK_SIZES = Sizes(20, 1.0, 200, 3_000, 1, 100, 10, 15.0, 0.1)

LITTLE_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Arena:
    """Where the contestants meet."""

    home: Path
    servers: dict[str, Server]  # by contestant's key
    sizes: Sizes

    def place(self, contestant: Contestant) -> Place:
        """Return a place that nobody has used: a new file, or a new queue of the server."""
        name = f"{contestant.key}-{next(_numbers)}"
        server = self.servers.get(contestant.key)
        return Place(contestant.key, server.url if server else str(self.home / f"{name}.sqlite3"), name)
