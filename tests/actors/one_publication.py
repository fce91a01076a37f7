"""A job with one part that is published on a platform with faults, and what delivers its messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from actors import wiring
from actors.flow import publishing
from actors.flow.retrying import GivenUp
from platforms import errors
from platforms.contract import Advanced, AuthorizedAccount, Handle, Outcome, Post, Published
from store import accounts, jobs, publication_queue, publications, segments
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.actors.queues import move_clock
from tests.store.rows import account, job, publication, segment

NAME = "job-1-tiktok-1"


class Killed(BaseException):
    """kill -9, as far as one process can play it: nothing after it runs, nothing is tidied up."""


@dataclass
class Remote:
    """A platform with one irreversible call, and a fault to come for each call."""

    faults: list[str] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)
    asked: int = 0
    platform: str = "tiktok"
    irreversible_steps: frozenset[str] = frozenset({"publish"})

    def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
        return Handle("reserve", {})

    def may_stop(self, handle: Handle) -> bool:
        return True  # `publish`, the irreversible call, is its own step

    def advance(self, post: Post, account: AuthorizedAccount, handle: Handle, *, interrupted: bool) -> Outcome:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "killed before":
            raise Killed
        if fault == "later":
            raise errors.TryLater("busy", "try later", retry_after_s=0.0)
        outcome = self._carry_out(post, handle, interrupted=interrupted)
        if fault == "killed after":
            raise Killed
        if fault == "answer lost":
            raise errors.Unclear("cut", "no answer", retry_after_s=0.0)
        return outcome

    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        if handle.step == "reserve":
            return Advanced(handle.then("publish", ticket=1))
        if interrupted:
            self.asked += 1
        if not (interrupted and self.posts):
            self.posts.append(post.publication_id)
        return Published(handle, "remote-1", "https://example.test/1")


def create_job(connection: Connection) -> None:
    """Store a job with one part, which is ready and let go."""
    jobs.create(connection, job(status=JobStatus.PUBLISHING, parts=1))
    part = segment(1, status=SegmentStatus.READY)
    segments.create(connection, [part])
    accounts.connect(connection, account())
    publications.create(connection, [publication(part, account())])
    publication_queue.start(connection, NAME, wiring.machine.now())


def drive(holder: str = "message", rounds: int = 30) -> publications.Publication:
    """Deliver messages until the publication is over, each at its time.

    After a kill the same message is delivered again, after a record a new one.
    """
    with pytest.MonkeyPatch.context() as patch:
        for number in range(rounds):
            found = stored()
            if found.status is not PublicationStatus.PUBLISHING:
                return found
            if found.next_at is not None and found.next_at > wiring.machine.now():
                move_clock(patch, found.next_at - wiring.machine.now())
            asked_by = found.holder.split("/")[0] if found.holder else f"{holder}-{number}"
            with suppress(Killed, GivenUp):
                publishing.run_step(wiring.machine, NAME, asked_by)
    raise AssertionError("the publication never ends")


def stored() -> publications.Publication:
    """Return the publication as it is stored."""
    with wiring.machine.store.reading() as connection:
        found = publications.get(connection, NAME)
    assert found is not None
    return found


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Kill the process before the statement with a number, from 1."""
    count = 0

    def count_statement(*_: Any) -> None:  # Any: SQLAlchemy's arguments
        nonlocal count
        count += 1
        if count == number:
            raise Killed

    event.listen(Engine, "before_execute", count_statement)
    try:
        yield
    finally:
        event.remove(Engine, "before_execute", count_statement)
