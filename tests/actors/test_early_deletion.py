"""Files that go before their job is over: the upload after the last rendering, a part after its last publication."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from actors import wiring
from actors.delete_files import delete_files
from actors.flow import job_commands, publication_commands
from actors.flow.completion import close_finished, fail_part
from actors.recovery import adoption, lost_found
from actors.recovery.adoption import Outcome
from store import Store, accounts, jobs, publications, reviews, segments, tables
from store.jobs import Job
from store.states import JobStatus, PublicationStatus, ReviewReason, SegmentStatus
from tests.actors.queues import change_settings, move_clock, waiting
from tests.store.rows import account, job, publication, segment

ID = "job_" + "0" * 32


def _add(store: Store, *, ready: Iterable[int] = (1, 2), on: Iterable[str] = ("tiktok-1",)) -> None:
    """Add a job of two parts, with its files, of which some parts are rendered."""
    upload, parts = wiring.machine.settings.uploads_dir / ID, wiring.machine.settings.jobs_dir / ID
    for path in (upload / "source", upload / "upload.json", upload / "publishing-began"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(ID, status=JobStatus.PROCESSING, parts=2))
        for name in on:
            accounts.connect(connection, account(name))
        for number in (1, 2):
            status = SegmentStatus.READY if number in ready else SegmentStatus.RENDERING
            part = replace(segment(number, job_id=ID, status=status), size_bytes=1)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, account(name)) for name in on])
            for suffix in (".mp4", ".cover.jpg", ".preview.jpg", ".report.json"):
                parts.mkdir(parents=True, exist_ok=True)
                (parts / f"part-{number:03}{suffix}").write_bytes(b"x")


def _close(store: Store) -> None:
    with store.writing(scope="everything") as connection:
        close_finished(wiring.machine, connection, ID)


def _end(store: Store, number: int, status: PublicationStatus, on: str = "tiktok-1") -> None:
    with store.writing(scope="everything") as connection:
        change = tables.publications.update().where(tables.publications.c.id == f"{ID}-{number}-{on}")
        connection.execute(change.values(status=status, ended_at=wiring.machine.now(), code="end"))
        close_finished(wiring.machine, connection, ID)


def _work() -> None:
    """Carry out the messages about files."""
    for name, args in waiting():
        if name == "delete_files":
            delete_files.fn(*args)


def _job(store: Store) -> Job:
    with store.reading() as connection:
        found = jobs.get(connection, ID)
    assert found is not None
    return found


def _upload() -> set[str]:
    return {path.name for path in (wiring.machine.settings.uploads_dir / ID).iterdir()}


def _parts() -> set[str]:
    return {path.name.partition(".")[0] for path in (wiring.machine.settings.jobs_dir / ID).iterdir()}


def test_the_upload_goes_with_the_last_rendering_and_its_records_stay(store: Store) -> None:
    _add(store)
    _close(store)
    assert _job(store).source_deleted_at is not None
    _work()
    _work()
    assert _upload() == {"upload.json", "publishing-began", "source-deleted"}
    assert _parts() == {"part-001", "part-002"}
    assert _job(store).status is JobStatus.PUBLISHING
    lost_found.move_unrecorded(wiring.machine)
    assert _upload() == {"upload.json", "publishing-began", "source-deleted"}


def test_the_upload_stays_while_a_part_is_to_be_rendered_or_has_failed(store: Store) -> None:
    _add(store, ready=[1])
    _close(store)
    _work()
    assert "source" in _upload()
    with store.writing(scope="everything") as connection:
        fail_part(wiring.machine, connection, f"{ID}-2", reason="out of memory")
    _work()
    assert "source" in _upload()  # its retry reads the file

    assert job_commands.retry(wiring.machine, ID).retried
    with store.writing(scope="everything") as connection:
        assert segments.claim(connection, f"{ID}-2", "a", wiring.machine.now())
        assert segments.finish(
            connection, f"{ID}-2", "a", file_path=f"jobs/{ID}/part-002.mp4", duration_s=1, size_bytes=1, gaze={},
            stage_seconds={}, rendering={}, now=wiring.machine.now(),
        )  # fmt: skip
        close_finished(wiring.machine, connection, ID)
    _work()
    assert "source" not in _upload()


def test_the_upload_stays_until_its_parts_are_approved(store: Store) -> None:
    _add(store)
    with store.writing(scope="everything") as connection:
        reviews.require(connection, ID, ReviewReason.SOUND_UNREADABLE)
    _close(store)
    _work()
    assert (_job(store).status, "source" in _upload()) == (JobStatus.REVIEW, True)
    assert job_commands.approve(wiring.machine, ID)
    _work()
    assert "source" not in _upload()


def test_an_upload_that_is_to_be_kept_goes_with_the_other_files(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(monkeypatch, keep_source=True)
    _add(store)
    _close(store)
    _end(store, 1, PublicationStatus.PUBLISHED)
    _work()
    assert ("source" in _upload(), _job(store).source_deleted_at) == (True, None)
    _end(store, 2, PublicationStatus.PUBLISHED)
    _work()
    assert not (wiring.machine.settings.uploads_dir / ID).exists()


@pytest.mark.parametrize("before", [True, False], ids=["before the file goes", "after it went"])
def test_a_deletion_that_is_cut_off_is_recorded_and_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    _add(store)
    _close(store)
    real, seen = Path.unlink, []

    def killed(path: Path, missing_ok: bool = False) -> None:
        seen.append(_job(store).source_deleted_at is not None)
        if not before:
            real(path, missing_ok)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            _work()
    assert (seen, "source" in _upload()) == ([True], before)
    _work()  # the broker delivers the message again
    assert _upload() == {"upload.json", "publishing-began", "source-deleted"}


def test_a_part_goes_when_it_is_published_everywhere(store: Store) -> None:
    _add(store, on=["tiktok-1", "tiktok-2"])
    _close(store)
    _end(store, 1, PublicationStatus.PUBLISHED)
    _work()
    assert _parts() == {"part-001", "part-002"}
    _end(store, 1, PublicationStatus.ACTION_NEEDED, on="tiktok-2")
    _work()
    assert _parts() == {"part-002"}
    with store.reading() as connection:
        assert [part.files_deleted_at is not None for part in segments.of_job(connection, ID)] == [True, False]


def test_a_part_is_kept_for_the_retention(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(monkeypatch, retention_hours=2.0)
    _add(store)
    _close(store)
    _end(store, 1, PublicationStatus.PUBLISHED)
    move_clock(monkeypatch, timedelta(hours=1, minutes=59))
    _work()
    assert _parts() == {"part-001", "part-002"}
    move_clock(monkeypatch, timedelta(minutes=2))
    _work()
    assert _parts() == {"part-002"}


@pytest.mark.parametrize(
    "status", [PublicationStatus.FAILED, PublicationStatus.EXPIRED, PublicationStatus.OUTCOME_UNKNOWN]
)
def test_a_part_that_failed_somewhere_is_kept_and_can_be_retried_without_the_upload(
    store: Store, status: PublicationStatus
) -> None:
    _add(store, on=["tiktok-1", "tiktok-2"])
    _close(store)
    _end(store, 1, PublicationStatus.PUBLISHED)
    _end(store, 1, status, on="tiktok-2")
    _work()
    assert (_parts(), "source" in _upload()) == ({"part-001", "part-002"}, False)
    if status is not PublicationStatus.OUTCOME_UNKNOWN:
        publication_commands.retry_publication(wiring.machine, f"{ID}-1-tiktok-2")
        _end(store, 1, PublicationStatus.PUBLISHED, on="tiktok-2")
        _work()
        assert _parts() == {"part-002"}


def test_a_skipped_part_is_kept_since_it_can_be_retried(store: Store) -> None:
    _add(store)
    _close(store)
    publication_commands.skip_publication(wiring.machine, f"{ID}-1-tiktok-1")
    _work()
    assert _parts() == {"part-001", "part-002"}


def test_a_deletion_of_parts_that_is_cut_off_is_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _add(store)
    _close(store)
    _work()
    _end(store, 1, PublicationStatus.PUBLISHED)

    def killed(path: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            _work()
    _work()
    assert _parts() == {"part-002"}


def test_the_records_of_an_upload_without_its_file_return_from_lost_and_found(store: Store) -> None:
    """They tell which publications have begun, whatever the database says."""
    _add(store)
    _close(store)
    _work()
    _end(store, 1, PublicationStatus.PUBLISHED)
    (wiring.machine.settings.jobs_dir / ID / "part-001.mp4").write_bytes(b"x")  # not yet deleted
    with store.writing(scope="everything") as connection:
        segments.mark_files_deleted(connection, ID, ended_before=wiring.machine.now(), now=wiring.machine.now())
    lost = lost_found.directory(wiring.machine) / ID
    (wiring.machine.settings.uploads_dir / ID).rename(lost)
    (wiring.machine.settings.jobs_dir / ID).rename(lost / lost_found.PARTS)
    [entry] = lost_found.entries(wiring.machine)
    assert (entry.has_upload, entry.publishing_began) == (False, True)

    outcome, _ = adoption.adopt(wiring.machine, entry)

    assert outcome is Outcome.RETURNED
    assert {"upload.json", "publishing-began", "source-deleted"} <= _upload()
    assert _parts() == {"part-002"}


def test_no_job_is_made_of_an_upload_without_its_file(store: Store) -> None:
    _add(store)
    _close(store)
    _work()
    lost = lost_found.directory(wiring.machine) / ID
    (wiring.machine.settings.uploads_dir / ID).rename(lost)
    with store.writing(scope="everything") as connection:
        for table in ("publications", "job_segments", "deliveries", "events", "jobs"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 (names above)
    [entry] = lost_found.entries(wiring.machine)
    assert adoption.adopt(wiring.machine, entry)[0] is Outcome.NO_UPLOAD
    assert lost.exists()


def test_a_deleted_upload_that_comes_back_is_deleted_again(store: Store) -> None:
    _add(store)
    _close(store)
    lost = lost_found.directory(wiring.machine) / ID
    (wiring.machine.settings.uploads_dir / ID).rename(lost)
    [entry] = lost_found.entries(wiring.machine)
    assert adoption.adopt(wiring.machine, entry)[0] is Outcome.RETURNED
    _work()
    assert "source" not in _upload()
