"""What the resources work with, handed to each of them: no resource reads the environment or makes its own clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from api.http.auth import Keys
from api.http.idempotency import InProgress
from broker import DeadLetter, SqliteBroker
from platforms.http.hosts import Hosts
from settings import Settings
from store import Sealer, Store
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.webhooks import Endpoint


class Intake(Protocol):
    """What can be asked of the machine; the module `actors.flow.job_commands` is one."""

    def accept(self, job: Job, answer: StoredAnswer | None = None) -> StoredAnswer | None:
        """Accept a new job, or return the stored answer of its idempotency key."""

    def add_endpoint(self, connection: Connection, url: str, *, scope: str, events: list[str]) -> Endpoint:
        """Remember where to send events."""

    def cancel(self, job_id: str) -> bool:
        """End a job; False if there is none or it is over."""

    def retry(self, job_id: str) -> bool:
        """Try again what failed; False if nothing did."""

    def approve(self, job_id: str) -> bool:
        """Approve a job's publications; False if it needs no approval."""

    def delete(self, job_id: str) -> bool:
        """Delete a job's files; False if there is none."""

    def retry_dead_letter(self, letter: DeadLetter) -> bool:
        """Try again what gave up; False if there is nothing to try again."""

    def resolve(self, publication_id: str, *, published: bool, link: str | None) -> bool:
        """Note a person's word about an unknown outcome; False if it is known."""

    def disconnect(self, account_id: str) -> bool:
        """Forget an account; False if there is none."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The door's dependencies.

    Attributes:
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
    intake: Intake
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
