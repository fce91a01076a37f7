"""One publication, step by step: whatever is cut off, the platform ends up with one post."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actors import wiring
from actors.delete_files import delete_files
from actors.flow import job_commands, posts, publication_commands, publishing, publishing_retries
from actors.flow.retrying import GivenUp
from platforms import errors
from platforms.contract import Handle, Outcome, Post, Published
from store import Sealer, Store, accounts, jobs, publications, segments, stage_durations, steps
from store.states import AccountStatus, JobStatus, PublicationStatus, SegmentStatus
from store.tables import metadata
from tests.actors.one_publication import NAME, Killed, Remote, create_job, drive
from tests.actors.queues import change_machine, move_clock
from tests.store.rows import account, publication, segment


def test_a_publication_runs_through_its_steps_and_ends_its_job(publishing_job: Callable[[Remote], None]) -> None:
    remote = Remote()
    publishing_job(remote)
    ended = drive()
    assert (ended.status, ended.remote_id, ended.link) == ("published", "remote-1", "https://example.test/1")
    with wiring.machine.store.reading() as connection:
        assert [part.status for part in segments.of_job(connection, "job")] == [SegmentStatus.DONE]
        finished = jobs.get(connection, "job")
    assert finished is not None
    assert finished.status is JobStatus.COMPLETED


def test_the_duration_of_publishing_is_counted_once(publishing_job: Callable[[Remote], None], store: Store) -> None:
    publishing_job(Remote())
    assert drive().status is PublicationStatus.PUBLISHED
    drive()
    with store.reading() as connection:
        found = stage_durations.histograms(connection)
    assert {stage: histogram.buckets[math.inf] for stage, histogram in found.items()} == {"publish_tiktok": 1}


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.sampled_from(["", "killed before", "killed after", "answer lost", "later"]), max_size=8))
def test_whatever_is_cut_off_there_is_one_post(
    store: Store, publishing_job: Callable[[Remote], None], faults: list[str]
) -> None:
    shutil.rmtree(wiring.machine.settings.uploads_dir, ignore_errors=True)
    (wiring.machine.settings.uploads_dir / "job").mkdir(parents=True)  # where notes of it are kept
    with store.writing(scope="everything") as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        create_job(connection)
    remote = Remote(faults=list(faults))
    publishing_job(remote)
    assert drive().status is PublicationStatus.PUBLISHED
    assert remote.posts == [NAME]


def test_a_step_that_was_cut_off_asks_before_it_repeats(publishing_job: Callable[[Remote], None]) -> None:
    remote = Remote(faults=["", "killed after"])
    publishing_job(remote)
    drive()
    assert (len(remote.posts), remote.asked) == (1, 1)


def test_a_stray_message_does_nothing_while_another_holds_the_step(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    remote = Remote()
    publishing_job(remote)
    with store.writing(scope="everything") as connection:
        later = wiring.machine.now() + timedelta(minutes=15)
        steps.claim(connection, NAME, "somebody", "x", now=wiring.machine.now(), until=later)
    publishing.run_step(wiring.machine, NAME, "stray")
    with store.reading() as connection:
        found = publications.get(connection, NAME)
    assert found is not None
    assert (found.holder, found.step, remote.posts) == ("somebody/x", None, [])


def test_an_unknown_outcome_is_shown_and_never_repeated(publishing_job: Callable[[Remote], None]) -> None:
    class Mute(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            self.posts.append(post.publication_id)
            raise errors.OutcomeUnknown("nobody_knows", "the platform does not know it")

    remote = Mute()
    publishing_job(remote)
    ended = drive()
    publishing.run_step(wiring.machine, NAME, "again")
    assert (ended.status, ended.code, len(remote.posts)) == (PublicationStatus.OUTCOME_UNKNOWN, "nobody_knows", 1)


def test_a_dead_token_waits_for_a_person(store: Store, publishing_job: Callable[[Remote], None]) -> None:
    class Locked(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            raise errors.Reconnect("revoked", "the access was revoked")

    publishing_job(Locked())
    publishing.run_step(wiring.machine, NAME, "message")
    with store.reading() as connection:
        found, owner = publications.get(connection, NAME), accounts.get(connection, "tiktok-1")
    assert found is not None
    assert owner is not None
    assert (found.status, found.holder, owner.status) == (PublicationStatus.PUBLISHING, None, AccountStatus.RECONNECT)


def _found(store: Store) -> publications.Publication:
    with store.reading() as connection:
        found = publications.get(connection, NAME)
    assert found is not None
    return found


class Limited(Remote):
    """A platform that asks for hours of patience."""

    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        raise errors.RateLimited("daily", "enough for today", retry_after_s=7200, scope="account")


def test_a_cancelled_job_holds_back_what_can_be_held_back(
    store: Store, publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A post that waits for a limit must not go out hours after its job was cancelled."""
    publishing_job(Limited())
    publishing.run_step(wiring.machine, NAME, "first")
    assert job_commands.cancel(wiring.machine, "job")
    willing = Remote()
    publishing_job(willing)
    publishing.run_step(wiring.machine, NAME, "asked by the cancellation")
    assert (_found(store).status, willing.posts) == (PublicationStatus.CANCELLED, [])


def test_a_paused_account_is_not_called_at_all(store: Store, publishing_job: Callable[[Remote], None]) -> None:
    remote = Remote()
    publishing_job(remote)
    until = wiring.machine.now() + timedelta(hours=1)
    with store.writing(scope="everything") as connection:
        accounts.pause(connection, "tiktok-1", until, "the whole app is limited")
        accounts.pause(connection, "tiktok-1", wiring.machine.now(), "a shorter one")
    publishing.run_step(wiring.machine, NAME, "message")
    assert (_found(store).step, _found(store).next_at, remote.posts) == (None, until, [])


@pytest.mark.logs_errors("loguru")
def test_a_step_that_never_succeeds_is_given_up_after_a_day_and_asks_first(
    store: Store, publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own tries count, not what the publication waited for before."""
    publishing_job(Remote(faults=["later"] * 99))
    began = wiring.machine.now()
    with pytest.raises(GivenUp):
        while True:
            publishing.run_step(wiring.machine, NAME, "later and later")
            due = _found(store).next_at
            assert due is not None
            move_clock(monkeypatch, due - wiring.machine.now())
    assert (_found(store).status, _found(store).code) == (PublicationStatus.FAILED, "busy")
    assert wiring.machine.now() - began > publishing_retries.GIVE_UP_AFTER


def test_the_first_unclear_answer_after_a_long_wait_is_asked_about(
    store: Store, publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing_job(Limited())
    publishing.run_step(wiring.machine, NAME, "limited")
    move_clock(monkeypatch, timedelta(days=2))
    remote = Remote(faults=["answer lost"])
    publishing_job(remote)
    publishing.run_step(wiring.machine, NAME, "after the limit")
    assert (_found(store).status, _found(store).unclear) == (PublicationStatus.PUBLISHING, True)


def test_a_refused_account_ends_in_one_transaction_and_tells_its_queue(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    class Banned(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            raise errors.AccountRefused("banned", "the account may not post")

    with store.writing(scope="everything") as connection:
        part = segment(2, status=SegmentStatus.READY)
        segments.create(connection, [part])
        publications.create(connection, [publication(part, account())])
    publishing_job(Banned())
    publishing.run_step(wiring.machine, NAME, "message")
    with store.reading() as connection:
        owner, second = accounts.get(connection, "tiktok-1"), publications.get(connection, "job-2-tiktok-1")
    assert owner is not None
    assert second is not None
    assert (_found(store).status, owner.status) == (PublicationStatus.FAILED, AccountStatus.REFUSED)
    assert (second.status, second.code) == (PublicationStatus.WAITING, "account_refused")


def test_a_frozen_predecessor_that_wakes_up_records_nothing(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    """Both were asked by the same message; only one may say what became of the step."""

    class Overtaken(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            if not interrupted:
                publishing_job(remote_of_the_successor)
                publishing.run_step(
                    wiring.machine, NAME, "message"
                )  # the broker gave the message to another process meanwhile
                raise errors.Rejected("late", "what the frozen one had to say")
            return Published(handle, "remote-2", None)

    remote_of_the_successor = Overtaken()
    publishing_job(Overtaken())
    publishing.run_step(wiring.machine, NAME, "message")
    assert (_found(store).status, _found(store).remote_id) == (PublicationStatus.PUBLISHED, "remote-2")


def test_a_predecessor_that_was_paused_before_an_irreversible_call_sends_nothing(
    publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part is fetched for so long, as in a virtual machine that is paused, that another attempt takes over."""
    remote = Remote()
    publishing_job(remote)
    publishing.run_step(wiring.machine, NAME, "first")
    create = posts.create_post

    def create_late(*arguments: Any) -> Post:  # Any: as of the function
        monkeypatch.setattr(publishing, "create_post", create)
        publishing.run_step(wiring.machine, NAME, "second")
        return create(*arguments)

    monkeypatch.setattr(publishing, "create_post", create_late)
    publishing.run_step(wiring.machine, NAME, "second")
    assert (remote.posts, remote.asked) == ([NAME], 1)  # by the attempt that took over, which has asked first
    assert drive().status is PublicationStatus.PUBLISHED


def test_a_person_settles_an_unknown_outcome(store: Store, publishing_job: Callable[[Remote], None]) -> None:
    class Mute(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            raise errors.OutcomeUnknown("nobody_knows", "the platform does not know it")

    publishing_job(Mute())
    publishing.run_step(wiring.machine, NAME, "message")
    assert publication_commands.resolve(wiring.machine, NAME, published=True, link="https://example.test/found")
    assert not publication_commands.resolve(wiring.machine, NAME, published=False, link=None)
    with store.reading() as connection:
        ended = jobs.get(connection, "job")
    assert ended is not None
    assert (_found(store).link, ended.status) == ("https://example.test/found", JobStatus.COMPLETED)


class Disconnecting(Remote):
    """Its account is disconnected while a step is run; a person reports at once that the post is not there."""

    at = "publish"
    is_resolved = True

    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        if handle.step == self.at:
            assert job_commands.disconnect(wiring.machine, "tiktok-1")
            self.is_resolved = publication_commands.resolve(wiring.machine, NAME, published=False, link=None)
        return super()._carry_out(post, handle, interrupted=interrupted)


def test_a_person_cannot_resolve_an_outcome_that_a_step_still_may_tell(
    publishing_job: Callable[[Remote], None],
) -> None:
    """Otherwise the publication is failed, and may be retried, while its post goes online."""
    remote = Disconnecting()
    publishing_job(remote)
    assert drive().status is PublicationStatus.PUBLISHED
    assert (remote.posts, remote.is_resolved) == ([NAME], False)


def test_an_outcome_can_be_resolved_once_the_step_must_have_ended(
    publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was killed."""
    publishing_job(Disconnecting(faults=["", "killed after"]))
    assert drive().status is PublicationStatus.OUTCOME_UNKNOWN
    move_clock(monkeypatch, publishing.STEP_DEADLINE + timedelta(seconds=1))
    assert publication_commands.resolve(wiring.machine, NAME, published=True, link=None)


def test_a_step_that_ends_after_its_account_was_disconnected_leaves_the_reason(
    publishing_job: Callable[[Remote], None],
) -> None:
    remote = Disconnecting()
    remote.at = "reserve"
    publishing_job(remote)
    ended = drive()
    assert (ended.status, ended.code, ended.holder) == ("outcome_unknown", "account_disconnected", None)


def test_another_secret_key_ends_as_an_unknown_outcome_not_as_a_crash(
    store: Store, publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing_job(Remote(faults=["killed before"]))
    with pytest.raises(Killed):
        publishing.run_step(wiring.machine, NAME, "message")
    change_machine(monkeypatch, sealer=Sealer("another key"))
    with store.writing(scope="everything") as connection:  # connected again since then
        accounts.connect(connection, replace(account(), tokens=wiring.machine.sealer.seal("tokens")))
    publishing.run_step(wiring.machine, NAME, "message")
    assert (_found(store).status, _found(store).code) == (PublicationStatus.OUTCOME_UNKNOWN, "wrong_key")


class Reading(Remote):
    """Opens the part's file at a step, as the publishers do."""

    at = "reserve"

    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        if handle.step == self.at:
            post.video.read_bytes()
        return super()._carry_out(post, handle, interrupted=interrupted)


@pytest.mark.parametrize(("at", "status"), [("reserve", "failed"), ("publish", "failed")])
def test_a_part_that_is_gone_ends_its_publication_with_the_reason(
    publishing_job: Callable[[Remote], None], at: str, status: str
) -> None:
    remote = Reading()
    remote.at = at
    publishing_job(remote)
    ended = drive()
    assert (ended.status, ended.code, remote.posts) == (status, "file_missing", [])
    assert "the database is older" in (ended.reason or "")


def test_the_files_of_a_part_that_is_being_sent_stay_whatever_is_asked(
    store: Store, publishing_job: Callable[[Remote], None]
) -> None:
    """Its job was cancelled and deleted in mid-upload: the platform still reads."""
    publishing_job(Remote())
    assert job_commands.delete(wiring.machine, "job")
    delete_files.fn("job", "now")
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert found.files_deleted_at is None
    drive()
    delete_files.fn("job", "now")
    with store.reading() as connection:
        found = jobs.get(connection, "job")
    assert found is not None
    assert found.files_deleted_at is not None
