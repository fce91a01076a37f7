"""A database that is older than what was published, as after a backup was restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors import wiring
from actors.flow import job_commands, publication_commands
from platforms import errors
from platforms.contract import AuthorizedAccount, Handle, Outcome, Post
from store import Store, publications, steps
from store.states import JobStatus, PublicationStatus
from store.tables import metadata
from tests.actors.one_publication import NAME, Killed, Remote, create_job, drive, stored
from tests.actors.queues import change_settings


@pytest.fixture
def uploaded(store: Store) -> Path:
    """Return the directory of the job's upload."""
    directory = wiring.machine.settings.uploads_dir / "job"
    directory.mkdir(parents=True)
    return directory


def _older_database(status: PublicationStatus = PublicationStatus.WAITING) -> None:
    """Put the publication back to before it began, as a restored backup does."""
    with wiring.machine.store.writing(scope="everything") as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        create_job(connection)
        if status is PublicationStatus.FAILED:
            failed = {"status": status, "ended_at": wiring.machine.now(), "code": "x"}
            connection.execute(metadata.tables["publications"].update().values(**failed))
            connection.execute(metadata.tables["jobs"].update().values(status=JobStatus.FAILED))


@pytest.mark.usefixtures("uploaded")
def test_an_older_database_publishes_nothing_twice(publishing_job: Callable[[Remote], None]) -> None:
    """It says "waiting" of a part that is public, and the upload is still there for the others."""
    remote = Remote()
    publishing_job(remote)
    assert drive().status is PublicationStatus.PUBLISHED
    _older_database()
    ended = drive()
    assert (ended.status, ended.code) == (PublicationStatus.OUTCOME_UNKNOWN, "database_older")
    assert "the database is older" in (ended.reason or "")
    assert len(remote.posts) == 1


@pytest.mark.usefixtures("uploaded")
def test_an_older_database_that_knows_an_earlier_failure_publishes_nothing_twice(
    publishing_job: Callable[[Remote], None],
) -> None:
    """A person tries again what failed then: it went out since."""
    remote = Remote()
    publishing_job(remote)
    drive()
    _older_database(PublicationStatus.FAILED)
    assert job_commands.retry(wiring.machine, "job")
    assert drive().status is PublicationStatus.OUTCOME_UNKNOWN
    assert len(remote.posts) == 1


@pytest.mark.usefixtures("uploaded")
@pytest.mark.parametrize("way", ["failed", "resolved"])
def test_what_certainly_failed_is_tried_again_as_before(publishing_job: Callable[[Remote], None], way: str) -> None:
    remote = Remote()
    publishing_job(remote)
    if way == "resolved":  # a person has looked, and it is not there
        drive()
        _older_database()
        assert drive().status is PublicationStatus.OUTCOME_UNKNOWN
        remote.posts.clear()
        assert publication_commands.resolve(wiring.machine, NAME, published=False, link=None)
    else:
        publishing_job(Refusing())
        assert drive().status is PublicationStatus.FAILED
        publishing_job(remote)
    assert job_commands.retry(wiring.machine, "job")
    assert drive().status is PublicationStatus.PUBLISHED
    assert len(remote.posts) == 1


@pytest.mark.usefixtures("uploaded")
def test_what_has_failed_on_another_machine_is_tried_again(
    publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One machine begins a post; another one records that it failed, and takes the request to retry it."""
    change_settings(monkeypatch, database_url=SecretStr("postgresql://host/name"), files_url="s3://bucket")
    here = wiring.machine
    remote = Remote()
    publishing_job(Refusing())
    assert drive().status is PublicationStatus.FAILED
    publishing_job(remote)
    change_settings(monkeypatch, data_dir=here.settings.data_dir / "other")
    assert job_commands.retry(wiring.machine, "job")
    change_settings(monkeypatch, data_dir=here.settings.data_dir)
    ended = drive()
    assert (ended.status, ended.code) == (PublicationStatus.PUBLISHED, None)
    assert remote.posts == [NAME]


class Refusing(Remote):
    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        raise errors.Rejected("refused", "not this one")


@pytest.mark.usefixtures("uploaded")
def test_a_crash_between_the_note_and_its_record_is_no_older_database(
    publishing_job: Callable[[Remote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote()
    publishing_job(remote)
    real = steps.record_first_step

    def die(*_: object, **__: object) -> bool:
        monkeypatch.setattr(steps, "record_first_step", real)
        raise Killed

    monkeypatch.setattr(steps, "record_first_step", die)
    assert drive().status is PublicationStatus.PUBLISHED
    assert len(remote.posts) == 1


def _put_back(before: publications.Publication) -> None:
    """Put the publication back to what it was, with its job."""
    with wiring.machine.store.writing(scope="everything") as connection:
        table = metadata.tables["publications"]
        values = {name: getattr(before, name) for name in ("status", "step", "handle", "next_at", "ended_at")}
        connection.execute(table.update().values(**values))
        connection.execute(metadata.tables["jobs"].update().values(status=JobStatus.PUBLISHING, completed_at=None))


@dataclass
class Remembering(Remote):
    """Reads the publication when its first step is run, as a backup does.

    Attributes:
        backup: what was read.
    """

    backup: publications.Publication | None = None

    def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
        self.backup = self.backup or stored()
        return super()._carry_out(post, handle, interrupted=interrupted)


@pytest.mark.usefixtures("uploaded")
def test_an_older_database_in_which_a_post_had_only_begun_publishes_nothing_twice(
    publishing_job: Callable[[Remote], None],
) -> None:
    """It waited for days before its upload, for a limit or for its owner; the backup is of that time."""
    remote = Remembering()
    publishing_job(remote)
    assert drive().status is PublicationStatus.PUBLISHED
    assert remote.backup is not None
    _put_back(remote.backup)
    ended = drive("restored")
    assert (ended.status, ended.code) == (PublicationStatus.OUTCOME_UNKNOWN, "database_older")
    assert remote.posts == [NAME]


@pytest.mark.usefixtures("uploaded")
def test_a_public_part_whose_file_is_deleted_is_not_failed_in_an_older_database(
    publishing_job: Callable[[Remote], None],
) -> None:
    """The file of a part is deleted soon after it was published."""

    class Checking(Remote):
        def begin(self, post: Post, account: AuthorizedAccount) -> Handle:
            if self.posts:
                raise errors.Rejected("video_missing", "the video file is missing")
            return super().begin(post, account)

    publishing_job(Checking())
    assert drive().status is PublicationStatus.PUBLISHED
    _older_database()
    assert drive().status is PublicationStatus.OUTCOME_UNKNOWN


@pytest.mark.usefixtures("uploaded")
def test_a_new_job_at_the_platform_after_a_failed_one_is_no_older_database(
    publishing_job: Callable[[Remote], None],
) -> None:
    class Failing(Remote):
        def _carry_out(self, post: Post, handle: Handle, *, interrupted: bool) -> Outcome:
            if interrupted:
                again = Handle("reserve", {"restarts": 1})
                raise errors.StartOver("job_failed", "without a post", handle=again, retry_after_s=0.0)
            if handle.step == "publish" and not handle.number("restarts"):
                raise errors.Unclear("cut", "no answer", retry_after_s=0.0)
            return super()._carry_out(post, handle, interrupted=interrupted)

    remote = Failing()
    publishing_job(remote)
    assert drive().status is PublicationStatus.PUBLISHED
    assert remote.posts == [NAME]
