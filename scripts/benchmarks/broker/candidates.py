"""Who competes: brokers of Dramatiq, what each one needs, and what an accepted message survives with it."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CONTESTANTS", "Contestant"]

OURS_FULL, OURS_NORMAL = "ours-full", "ours-normal"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A column of the table."""

    key: str
    title: str
    durability: str
    compared_to: str  # key of the column of ours whose promise is the nearest
    packages: tuple[str, ...] = ()  # modules that must be importable
    server: str | None = None  # name in `servers.STARTERS`
    programs: tuple[str, ...] = ()  # what the server needs

    def missing(self) -> str | None:
        """Tell what is not installed here; None when the broker can take part."""
        lacking = [f"Python package {name}" for name in self.packages if importlib.util.find_spec(name) is None]
        lacking += [f"program {name}" for name in self.programs if program(name) is None]
        return ", ".join(lacking) or None


def program(name: str) -> str | None:
    """Return the path of a server's program, also where Debian keeps those that are not on the path."""
    homes = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), Path("/usr/lib/rabbitmq/bin")]
    return shutil.which(name, path=":".join(map(str, reversed(homes)))) or shutil.which(name)


CONTESTANTS = (
    Contestant(
        OURS_FULL,
        "ours FULL",
        "WAL, synchronous=FULL: an accepted message survives a power cut",
        OURS_FULL,
    ),
    Contestant(
        OURS_NORMAL,
        "ours NORMAL",
        "WAL, synchronous=NORMAL: a power cut may undo the last commits, a crash nothing",
        OURS_NORMAL,
    ),
    Contestant(
        "redis",
        "Redis",
        "as installed, snapshots only: a power cut loses up to an hour of accepted messages",
        OURS_NORMAL,
        ("redis",),
        "redis",
        ("redis-server",),
    ),
    Contestant(
        "rabbitmq",
        "RabbitMQ",
        "durable queue, persistent messages, no publisher confirms (Dramatiq's default): enqueue returns before "
        "anything is on disk",
        OURS_NORMAL,
        ("pika",),
        "rabbitmq",
        ("rabbitmq-server", "erl", "epmd"),
    ),
    Contestant(
        "postgres",
        "PostgreSQL",
        "dramatiq-postgres; fsync and synchronous_commit on: an accepted message survives a power cut",
        OURS_FULL,
        ("dramatiq_postgres", "psycopg", "psycopg_pool", "tenacity"),
        "postgres",
        ("postgres", "initdb"),
    ),
    Contestant(
        "dramatiq-sqlite",
        "dramatiq-sqlite",
        "WAL, synchronous=NORMAL: a power cut may undo the last commits",
        OURS_NORMAL,
        ("dramatiq_sqlite",),
    ),
)
