"""The brokers that are compared: what each needs, and what an accepted message survives."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CANDIDATES", "Candidate"]

OURS_FULL, OURS_NORMAL = "ours-full", "ours-normal"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One broker: a column of the table."""

    key: str
    title: str
    durability: str
    compared_to: str  # key of the column of this broker with the most similar durability
    packages: tuple[str, ...] = ()  # modules that must be importable
    server: str | None = None  # name in `servers.STARTERS`
    programs: tuple[str, ...] = ()  # what the server needs

    def missing(self) -> str | None:
        """Return what is not installed; None if the broker can be measured."""
        lacking = [f"Python package {name}" for name in self.packages if importlib.util.find_spec(name) is None]
        lacking += [f"program {name}" for name in self.programs if program(name) is None]
        return ", ".join(lacking) or None


def program(name: str) -> str | None:
    """Return the path of a server's program; also searches Debian's folders that are not on PATH."""
    homes = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), Path("/usr/lib/rabbitmq/bin")]
    return shutil.which(name, path=":".join(map(str, reversed(homes)))) or shutil.which(name)


CANDIDATES = (
    Candidate(
        OURS_FULL,
        "ours FULL",
        "WAL, synchronous=FULL: an accepted message survives a power cut",
        OURS_FULL,
    ),
    Candidate(
        OURS_NORMAL,
        "ours NORMAL",
        "WAL, synchronous=NORMAL: a power cut may undo the last commits, a crash nothing",
        OURS_NORMAL,
    ),
    Candidate(
        "ours-postgresql",
        "ours PostgreSQL",
        "on a PostgreSQL server with fsync and synchronous_commit on: an accepted message survives a power cut",
        OURS_FULL,
        ("psycopg",),
        "postgres",
        ("postgres", "initdb"),
    ),
    *(
        Candidate(
            f"ours-relay-{key}",
            f"ours {title}",
            f"as ours PostgreSQL; {title} only wakes the workers, through a relay",
            OURS_FULL,
            ("psycopg", package),
            f"relayed-{key}",
            ("postgres", "initdb", *programs),
        )
        for key, title, package, programs in (
            ("redis", "Redis", "redis", ("redis-server",)),
            ("rabbitmq", "RabbitMQ", "pika", ("rabbitmq-server", "erl", "epmd")),
        )
    ),
    Candidate(
        "redis",
        "Redis",
        "as installed, snapshots only: a power cut loses up to an hour of accepted messages",
        OURS_NORMAL,
        ("redis",),
        "redis",
        ("redis-server",),
    ),
    Candidate(
        "rabbitmq",
        "RabbitMQ",
        "durable queue, persistent messages, no publisher confirms (Dramatiq's default): enqueue returns before "
        "anything is on disk",
        OURS_NORMAL,
        ("pika",),
        "rabbitmq",
        ("rabbitmq-server", "erl", "epmd"),
    ),
    Candidate(
        "postgres",
        "PostgreSQL",
        "dramatiq-postgres; fsync and synchronous_commit on: an accepted message survives a power cut",
        OURS_FULL,
        ("dramatiq_postgres", "psycopg", "psycopg_pool", "tenacity"),
        "postgres",
        ("postgres", "initdb"),
    ),
    Candidate(
        "dramatiq-sqlite",
        "dramatiq-sqlite",
        "WAL, synchronous=NORMAL: a power cut may undo the last commits",
        OURS_NORMAL,
        ("dramatiq_sqlite",),
    ),
)
