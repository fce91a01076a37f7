"""The environment of all measurements: scratch directory, running servers, sizes, unused targets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from scripts.benchmarks.broker.candidates import Candidate
from scripts.benchmarks.broker.servers import Server
from scripts.benchmarks.broker.target import Target

__all__ = ["FULL_SIZES", "QUICK_SIZES", "Environment", "Sizes"]

_numbers = count()


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the measurements."""

    latency_messages: int  # per round
    idle_s: float
    messages: int  # in enqueue and drain
    backlog: int
    backlog_pairs: int  # interleaved measurements with a small and a large backlog, per round
    jobs: int  # in the kill test
    job_ms: int
    timeout_s: float  # for messages that may be lost
    limit_s: float  # for a limit of the machine


FULL_SIZES = Sizes(200, 30.0, 10_000, 1_000_000, 5, 2_000, 20, 60.0, 1.5)
QUICK_SIZES = Sizes(20, 1.0, 200, 3_000, 1, 100, 10, 15.0, 0.1)

SMALL_BACKLOG = 1_000


@dataclass(frozen=True, slots=True)
class Environment:
    """The scratch directory, the servers and the sizes that all measurements share."""

    directory: Path
    servers: dict[str, Server]  # by the candidate's key
    sizes: Sizes

    def target(self, candidate: Candidate) -> Target:
        """Return an unused target: a new file, or a new queue of the server."""
        name = f"{candidate.key}-{next(_numbers)}"
        server = self.servers.get(candidate.key)
        return Target(candidate.key, server.url if server else str(self.directory / f"{name}.sqlite3"), name)
