"""One publication, step by step: whatever is cut off, the platform ends up with one post."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actors import publishing, tokens, wiring
from platforms import errors
from platforms.contract import Account as Usable
from platforms.contract import Advanced, Handle, Outcome, Post, Published
from store import Store, accounts, jobs, publications, segments
from store.states import AccountStatus, JobStatus, PublicationStatus, SegmentStatus
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

    def begin(self, post: Post, account: Usable) -> Handle:
        return Handle("reserve", {})

    def advance(self, post: Post, account: Usable, handle: Handle, *, interrupted: bool) -> Outcome:
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


@pytest.fixture
def publishing_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Remote], None]:
    """Return what installs a platform; a job with one part, ready and let go, is there."""
    monkeypatch.setattr(tokens, "usable", lambda _: Usable("a", "tiktok", "tiktok", "r", "@a", "token"))

    def install(remote: Remote) -> None:
        monkeypatch.setattr(wiring, "publisher", lambda _: remote)

    with store.writing() as connection:
        _job(connection)
    return install


def _job(connection) -> None:  # type: ignore[no-untyped-def]  # a connection, as everywhere
    jobs.create(connection, job(status=JobStatus.PUBLISHING, parts=1))
    part = segment(1, status=SegmentStatus.READY)
    segments.create(connection, [part])
    accounts.connect(connection, account())
    publications.create(connection, [publication(part, account())])
    publications.begin(connection, NAME, wiring.now())


def _drive(holder: str = "message", rounds: int = 30) -> publications.Publication:
    """Deliver messages until the publication is over: the same one again after a kill, a new one after a record."""
    for number in range(rounds):
        with wiring.store.reading() as connection:
            found = publications.get(connection, NAME)
        assert found is not None
        if found.status is not PublicationStatus.PUBLISHING:
            return found
        try:
            publishing.step(NAME, found.holder or f"{holder}-{number}")
        except Killed:
            continue
    raise AssertionError("the publication never ends")


def test_a_publication_runs_through_its_steps_and_ends_its_job(publishing_job: Callable[[Remote], None]) -> None:
    remote = Remote()
    publishing_job(remote)
    ended = _drive()
    assert (ended.status, ended.remote_id, ended.link) == ("published", "remote-1", "https://example.test/1")
    with wiring.store.reading() as connection:
        assert [part.status for part in segments.of_job(connection, "job")] == [SegmentStatus.DONE]
        finished = jobs.get(connection, "job")
    assert finished is not None
    assert finished.status is JobStatus.COMPLETED


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.sampled_from(["", "killed before", "killed after", "answer lost", "later"]), max_size=8))
def test_whatever_is_cut_off_there_is_one_post(
    store: Store, publishing_job: Callable[[Remote], None], faults: list[str]
) -> None:
    from store.tables import metadata  # noqa: PLC0415

    with store.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        _job(connection)
    remote = Remote(faults=list(faults))
    publishing_job(remote)
    assert _drive().status is PublicationStatus.PUBLISHED
    assert remote.posts == [NAME]


def test_a_step_that_was_cut_off_asks_before_it_repeats(publishing_job: Callable[[Remote], None]) -> None:
    remote = Remote(faults=["", "killed after"])
    publishing_job(remote)
    _drive()
    assert (len(remote.posts), remote.asked) == (1, 1)


def test_a_stray_message_does_nothing_while_another_holds_the_step(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    remote = Remote()
    publishing_job(remote)
    with store.writing() as connection:
        later = wiring.now() + timedelta(minutes=15)
        publications.take(connection, NAME, "somebody", now=wiring.now(), until=later)
    publishing.step(NAME, "stray")
    with store.reading() as connection:
        found = publications.get(connection, NAME)
    assert found is not None
    assert (found.holder, found.step, remote.posts) == ("somebody", None, [])


def test_an_unknown_outcome_is_shown_and_never_repeated(publishing_job: Callable[[Remote], None]) -> None:
    class Mute(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            self.posts.append(post.publication_id)
            raise errors.OutcomeUnknown("nobody_knows", "the platform forgot")

    remote = Mute()
    publishing_job(remote)
    ended = _drive()
    publishing.step(NAME, "again")
    assert (ended.status, ended.code, len(remote.posts)) == (PublicationStatus.OUTCOME_UNKNOWN, "nobody_knows", 1)


def test_a_dead_token_waits_for_a_person(store: Store, publishing_job: Callable[[Remote], None]) -> None:
    class Locked(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            raise errors.Reconnect("revoked", "the access was revoked")

    publishing_job(Locked())
    publishing.step(NAME, "message")
    with store.reading() as connection:
        found, owner = publications.get(connection, NAME), accounts.get(connection, "tiktok-1")
    assert found is not None
    assert owner is not None
    assert (found.status, found.holder, owner.status) == (PublicationStatus.PUBLISHING, None, AccountStatus.RECONNECT)
