"""Collects what is there after the faults: posts, webhooks, jobs, files, messages, processes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from broker import SqliteBroker
from scripts.fault_injection import clips
from scripts.fault_injection.clips import Colour
from scripts.fault_injection.machine import SERVICES, Machine
from scripts.fault_injection.uploads import Upload

Json = dict[str, Any]  # Any: the API's answers
VIDEO_SUFFIXES = frozenset({".mp4", ".part", ".mov"})
VIDEO_NAMES = frozenset({"source", ".incoming"})


@dataclass(frozen=True)
class Post:
    """A post that a mock platform has created."""

    platform: str
    account: str
    title: str  # the whole text
    part: int
    of: int
    created_at: float
    sha256: str
    duration_s: float
    colour: Colour


@dataclass(frozen=True)
class Webhook:
    """A delivery that the receiver has got."""

    id: str
    verified: bool
    event: Json


@dataclass(frozen=True)
class Footprint:
    """The open descriptors and the memory of a service."""

    descriptors: int  # open ones
    memory_mb: float  # anonymous memory in RAM


@dataclass(frozen=True)
class Evidence:
    """Everything that the checks need."""

    uploads: Sequence[Upload]
    jobs: dict[str, Json]  # status documents by id
    posts: Sequence[Post]
    webhooks: Sequence[Webhook]
    dead_letters: Sequence[Json]
    files: Sequence[str]  # video files in the data directory, as paths in it
    queues: dict[str, int]  # messages that are ready or claimed, by queue
    integrity: str  # answer of SQLite's integrity check
    health: Json
    before: dict[str, Footprint]  # of each service, after the start
    after: dict[str, Footprint]  # at the end
    processes_left: int = 0
    errors: dict[str, int] = field(default_factory=dict)  # exceptions in the log, and how often


def collect(machine: Machine, uploads: Sequence[Upload], before: dict[str, Footprint]) -> Evidence:
    """Return the evidence; nothing may be in progress any more."""
    after = footprints(machine)
    return Evidence(
        uploads=uploads,
        jobs=jobs(machine),
        posts=posts(machine),
        webhooks=webhooks(machine),
        dead_letters=machine.client.call("GET", "/dead-letters?limit=100")["dead_letters"],
        files=video_files(machine.data_dir),
        queues=open_messages(machine.data_dir / "vidprod.sqlite3"),
        integrity=integrity(machine.data_dir / "vidprod.sqlite3"),
        health=requests.get(f"{machine.client.root_url}/health", timeout=10).json(),
        before=before,
        after=after,
        errors=exceptions(machine.log_path),
    )


def jobs(machine: Machine) -> dict[str, Json]:
    """Return the status documents of all jobs."""
    found: dict[str, Json] = {}
    path: str | None = "/jobs?limit=100"
    while path:
        page = machine.client.call_with_retries("GET", path)
        for job in page["jobs"]:
            found[job["job_id"]] = machine.client.call_with_retries("GET", f"/status/{job['job_id']}")
        path = f"/jobs?limit=100&cursor={page['next']}" if page["next"] else None
    return found


def posts(machine: Machine) -> list[Post]:
    """Return the posts of the mock platforms, the oldest first."""
    records = requests.get(f"{machine.mock.url}/mock/posts", timeout=60).json()
    return [_post(record, machine.mock.directory / "bytes" / record["upload"]) for record in records]


def _post(record: Json, video: Path) -> Post:
    numbering = re.search(r"Part (\d+)/(\d+)", record["title"])
    part, of = (int(numbering[1]), int(numbering[2])) if numbering else (1, 1)
    duration_s, colour = _looks(record["sha256"], video)
    return Post(
        platform=record["platform"],
        account=record["account"],
        title=record["title"],
        part=part,
        of=of,
        created_at=record["created_at"],
        sha256=record["sha256"],
        duration_s=duration_s,
        colour=colour,
    )


_LOOKS: dict[str, tuple[float, Colour]] = {}


def _looks(sha256: str, video: Path) -> tuple[float, Colour]:
    if sha256 not in _LOOKS:  # the platforms have the same files
        _LOOKS[sha256] = clips.duration_s(video), clips.colour_of(video)
    return _LOOKS[sha256]


def webhooks(machine: Machine) -> list[Webhook]:
    """Return the webhooks that have arrived, the oldest first."""
    records = requests.get(f"{machine.mock.url}/mock/webhooks", timeout=60).json()
    return [Webhook(record["id"], record["verified"], record["event"]) for record in records]


def video_files(data_dir: Path) -> list[str]:
    """Return the files that look like a video, or a piece of one.

    Resumable uploads that their client has not ended do not count: they are kept for a day, so that it can go on.
    """
    return sorted(
        str(path.relative_to(data_dir))
        for path in data_dir.rglob("*")
        if path.is_file()
        and (path.suffix in VIDEO_SUFFIXES or path.name in VIDEO_NAMES)
        and not (path.name == ".incoming" and path.with_name(".tus.json").exists())
        and path.stat().st_size
    )


def open_messages(database: Path) -> dict[str, int]:
    """Return the number of messages that are ready or claimed, by queue."""
    broker = SqliteBroker(database)
    try:
        return {stats.queue: stats.ready + stats.leased for stats in broker.admin.queue_stats()}
    finally:
        broker.close()


def integrity(database: Path) -> str:
    """Return the answer of SQLite's integrity check."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return "; ".join(str(row[0]) for row in connection.execute("PRAGMA integrity_check"))
    finally:
        connection.close()


def footprints(machine: Machine) -> dict[str, Footprint]:
    """Return the footprint of each service that runs."""
    found = {}
    for name, text in SERVICES.items():
        for pid in machine.pids(text)[:1]:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            anonymous_kb = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            found[name] = Footprint(len(list(Path(f"/proc/{pid}/fd").iterdir())), anonymous_kb / 1024)
    return found


def exceptions(log: Path) -> dict[str, int]:
    """Return the last lines of the tracebacks in the log, numbers left out, and how often each occurs."""
    counts: dict[str, int] = {}
    for line in log.read_text(errors="replace").splitlines():
        if re.match(r"[\w.]+(Error|Exception|Unavailable|Timeout)\b", line):
            text = re.sub(r"[0-9a-f]{8,}|\d+", "#", line)[:160]
            counts[text] = counts.get(text, 0) + 1
    return counts
