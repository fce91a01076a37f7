"""Work whose storage does not answer waits, as it does for the disk; it uses up no attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dramatiq.errors import Retry

from actors import wiring
from actors.delete_files import delete_files
from actors.flow import publishing, retrying
from actors.flow.retrying import GivenUp
from actors.gaze import gaze
from actors.split import split
from files.errors import FilesError, Gone, Refused, TryLater
from platforms.contract import Handle, Outcome, Post
from store import Store, jobs, platform_states, segments
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.actors.one_publication import NAME, Remote, drive, stored
from tests.actors.queues import change_machine, change_settings, move_clock
from tests.actors.test_retrying import pending, unplanned


@dataclass
class FailingFiles:
    """Files whose storage fails; all else is that of the machine."""

    error: FilesError

    @contextmanager
    def borrow(self, *_: object) -> Iterator[Path]:
        if self.error:
            raise self.error
        yield Path()

    borrow_partly = borrow

    def stat(self, *_: object) -> None:
        raise self.error

    def __getattr__(self, name: str) -> Any:  # Any: of the machine's files
        return getattr(wiring.machine.files, name)


DOWN = TryLater("uploads/job/source", "503")


def _fail(monkeypatch: pytest.MonkeyPatch, error: FilesError = DOWN) -> None:
    files = FailingFiles(error)
    real = wiring.machine.files
    monkeypatch.setattr(FailingFiles, "__getattr__", lambda _, name: getattr(real, name))
    change_machine(monkeypatch, files=files)


def _part(store: Store) -> segments.Segment:
    with store.reading() as connection:
        found = segments.get(connection, "job-1")
    assert found is not None
    return found


def test_a_part_waits_for_the_storage_without_using_up_attempts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pending(store)
    _fail(monkeypatch)
    for _ in range(2 * retrying.MAX_ATTEMPTS):
        with pytest.raises(Retry):
            gaze.fn("job-1")
        move_clock(monkeypatch, retrying.DISK_CHECK_INTERVAL)
    part = _part(store)
    assert (part.status, len(part.attempts or ())) == (SegmentStatus.PENDING, 1)
    assert part.reason is not None
    assert "storage of the videos" in part.reason


@pytest.mark.logs_errors
def test_a_day_without_the_storage_ends_the_part(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pending(store)
    _fail(monkeypatch)
    with pytest.raises(Retry):
        gaze.fn("job-1")
    move_clock(monkeypatch, timedelta(hours=25))
    with pytest.raises(GivenUp):
        gaze.fn("job-1")
    assert (_part(store).status, _part(store).reason) == (
        SegmentStatus.FAILED, "the storage of the videos did not answer for a day",
    )  # fmt: skip


def test_a_plan_waits_likewise(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    unplanned(store)
    _fail(monkeypatch)
    with pytest.raises(Retry):
        split.fn("job")
    with store.reading() as connection:
        job = jobs.get(connection, "job")
    assert job is not None
    assert (job.status, job.retry_at is None) == (JobStatus.PROCESSING, False)


@pytest.mark.logs_errors
def test_a_part_whose_upload_is_gone_fails_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pending(store)
    _fail(monkeypatch, Gone("uploads/job/source", "the storage has no such file"))
    gaze.fn("job-1")
    assert _part(store).status is SegmentStatus.FAILED
    assert "uploaded file is missing" in str(_part(store).reason)


def test_an_outage_before_each_step_is_one_post_and_no_failure_of_the_platform(
    store: Store, publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is counted: no retry, no attempt at the platform, and other publications go on."""
    remote = Remote()
    publishing_job(remote)
    for _ in range(3):
        with pytest.MonkeyPatch.context() as outage:
            for _ in range(5):
                _fail(outage)
                publishing.run_step(wiring.machine, NAME, "message")
                found = stored()
                if found.status is not PublicationStatus.PUBLISHING:
                    break
                assert (found.tries, found.code) == (0, "storage_unavailable")
                assert found.next_at is not None
                move_clock(monkeypatch, found.next_at - wiring.machine.now())
        publishing.run_step(wiring.machine, NAME, "message")
    with store.reading() as connection:
        assert not platform_states.get(connection, "tiktok").is_out
    assert (drive().status, remote.posts) == (PublicationStatus.PUBLISHED, [NAME])


class _Opening(Remote):
    """Opens the part's file before its first call, as the publishers of real platforms do."""

    def advance(self, post: Post, account: Any, handle: Handle, *, interrupted: bool) -> Outcome:  # Any: as the base
        post.video.read_bytes()
        return super().advance(post, account, handle, interrupted=interrupted)


def test_a_part_that_is_missing_while_the_storage_does_not_answer_is_not_failed(
    publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage is asked again; it may have the part."""
    publishing_job(_Opening())
    files = FailingFiles(DOWN)
    files.borrow = _nothing  # type: ignore[method-assign]  # the copy was evicted
    change_machine(monkeypatch, files=files)
    publishing.run_step(wiring.machine, NAME, "message")
    assert (stored().status, stored().code) == (PublicationStatus.PUBLISHING, "storage_unavailable")


@contextmanager
def _nothing(*_: object) -> Iterator[Path]:
    yield Path("/nonexistent/part")


def test_a_wrong_setting_fails_no_part(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator corrects it, and the part goes on."""
    pending(store)
    _fail(monkeypatch, Refused("", "NoSuchBucket: The specified bucket does not exist"))
    with pytest.raises(Retry):
        gaze.fn("job-1")
    assert _part(store).status is SegmentStatus.PENDING


def test_an_upload_that_another_machine_has_received_is_deleted(
    store: Store, publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publishing_job(Remote())
    change_settings(monkeypatch, data_dir=tmp_path)
    source = wiring.machine.files.path("uploads/job/source")  # type: ignore[attr-defined]  # of local files
    source.parent.mkdir(parents=True)
    source.write_bytes(b"video")
    with store.writing(scope="everything") as connection:
        assert jobs.mark_source_deleted(connection, "job", wiring.machine.now())
    delete_files.fn("job", "source")
    assert not source.exists()
