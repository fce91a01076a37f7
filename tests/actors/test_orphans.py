"""Files of a remote storage without a record: kept for a period, then deleted; others never."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors import wiring
from actors.flow import retention
from actors.machine import Machine
from actors.recovery import adoption, lost_found, orphans, upload_record
from actors.recovery.adoption import Outcome
from actors.storage import open_files
from files import keys
from files.s3 import S3Files
from files.transfer import chunk_key
from store import Store, jobs
from tests.store.rows import job
from tests.support.lost_lease import Fenced, lease_lost
from tests.support.object_store import ObjectStore

UNKNOWN = "job_" + "0" * 32


@dataclass(frozen=True)
class Remote:
    machine: Machine
    files: S3Files

    def clean_up_in(self, ahead: timedelta) -> set[str]:
        """Run the clean-up at a later time; return the keys that are left."""
        later = replace(self.machine, now=lambda: wiring.machine.now() + ahead)
        retention.clean_up(later)
        return {file.key for root in (keys.UPLOADS, keys.JOBS) for file in self.files.list_files(root)}


@pytest.fixture
def remote(store: Store, server: ObjectStore, tmp_path: Path, request: pytest.FixtureRequest) -> Remote:
    del store
    options = server.options(f"orphans/{request.node.name}")
    changes = {
        "files_url": f"s3://{options.bucket}/{options.prefix}",
        "s3_endpoint_url": options.endpoint,
        "aws_access_key_id": SecretStr(options.access_key_id),
        "aws_secret_access_key": SecretStr(options.secret_access_key),
        "scratch_dir": tmp_path / "scratch",
    }
    settings = wiring.machine.settings.model_copy(update=changes)
    files = open_files(settings)
    assert isinstance(files, S3Files)
    return Remote(replace(wiring.machine, files=files, settings=settings), files)


def test_files_of_an_unknown_job_are_deleted_after_the_period(remote: Remote) -> None:
    kept = {keys.source(UNKNOWN), chunk_key(keys.source(UNKNOWN), 0), f"jobs/{UNKNOWN}/part-001.a.mp4"}
    for key in kept:
        remote.files.put_bytes(key, b"{}")
    days = timedelta(days=remote.machine.settings.lost_found_days)
    assert remote.clean_up_in(days - timedelta(hours=1)) == kept
    assert remote.clean_up_in(days + timedelta(hours=1)) == set()


def test_pieces_of_an_incomplete_upload_are_deleted_after_two_days(remote: Remote) -> None:
    piece = chunk_key(keys.source(UNKNOWN), 0)
    remote.files.put_bytes(piece, b"piece")
    assert remote.clean_up_in(timedelta(days=1)) == {piece}
    assert remote.clean_up_in(timedelta(days=3)) == set()


def test_a_worker_that_lost_its_lease_deletes_nothing(remote: Remote) -> None:
    """It was frozen after it had asked for the job, which may have been adopted since; another worker deletes."""
    kept = {keys.source(UNKNOWN), chunk_key(keys.source(UNKNOWN), 0), f"jobs/{UNKNOWN}/part-001.a.mp4"}
    for key in kept:
        remote.files.put_bytes(key, b"{}")
    days = timedelta(days=remote.machine.settings.lost_found_days)
    remote.clean_up_in(timedelta(0))
    with lease_lost(), pytest.raises(Fenced):
        remote.clean_up_in(days + timedelta(hours=1))
    assert {file.key for root in (keys.UPLOADS, keys.JOBS) for file in remote.files.list_files(root)} == kept
    assert remote.clean_up_in(days + timedelta(hours=1)) == set()


def test_files_of_a_known_job_stay(remote: Remote, store: Store) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
    kept = {keys.source("job"), "jobs/job/part-001.a.mp4"}
    for key in kept:
        remote.files.put_bytes(key, b"{}")
    assert remote.clean_up_in(timedelta(days=400)) == kept


def test_pieces_of_an_upload_that_is_being_received_stay(remote: Remote) -> None:
    piece = chunk_key(keys.source(UNKNOWN), 0)
    remote.files.put_bytes(piece, b"piece")
    directory = remote.machine.settings.uploads_dir / UNKNOWN
    directory.mkdir(parents=True)
    (directory / ".incoming").write_bytes(b"piece")
    assert remote.clean_up_in(timedelta(days=3)) == {piece}


def test_old_files_are_not_deleted_when_a_restored_database_does_not_know_them(remote: Remote) -> None:
    """They may be months older than the moment at which their record was lost."""
    part = f"jobs/{UNKNOWN}/part-001.a.mp4"
    remote.files.put_bytes(part, b"part")
    days = timedelta(days=remote.machine.settings.lost_found_days)
    assert remote.clean_up_in(3 * days) == {part}
    assert [file.key for file in remote.files.list_files(orphans.MARKS)] == [f"{orphans.MARKS}{UNKNOWN}"]


def test_the_mark_of_a_job_that_is_known_again_is_deleted(remote: Remote, store: Store) -> None:
    remote.files.put_bytes("jobs/job/part-001.a.mp4", b"part")
    remote.clean_up_in(timedelta(0))
    assert remote.files.list_files(orphans.MARKS)
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
    assert remote.clean_up_in(timedelta(days=400)) == {"jobs/job/part-001.a.mp4"}
    assert remote.files.list_files(orphans.MARKS) == []


def test_no_mark_is_left_after_the_files(remote: Remote) -> None:
    remote.files.put_bytes(f"jobs/{UNKNOWN}/part-001.a.mp4", b"part")
    for days in (0, 20, 21):
        remote.clean_up_in(timedelta(days=days))
    assert remote.files.list_files(orphans.MARKS) == []


def _lost_upload(remote: Remote) -> lost_found.LostEntry:
    """Return the entry of an upload that is in the storage, with its record on this machine."""
    source = keys.source(UNKNOWN)
    received = remote.machine.settings.uploads_dir / UNKNOWN / lost_found.INCOMING
    received.parent.mkdir(parents=True)
    received.write_bytes(b"a video")
    remote.files.transfer(source, received).finish(received, 7)
    received.unlink()
    asked = replace(job(UNKNOWN), video_path=source, original_name="talk.mp4", size_bytes=7)
    record = upload_record.encode(asked, remote.machine.sealer)
    (received.parent / upload_record.NAME).write_bytes(record)
    for mark in (lost_found.ACCEPTED_MARK, lost_found.SOURCE_DELETED_MARK):
        (received.parent / mark).touch()
    lost_found.move_unrecorded(remote.machine)
    [entry] = lost_found.entries(remote.machine)
    return entry


def test_an_upload_in_the_storage_is_adopted(remote: Remote) -> None:
    entry = _lost_upload(remote)
    assert (entry.has_upload, entry.file_name, entry.size_bytes > 7) == (True, "talk.mp4", True)
    outcome, restored = adoption.adopt(remote.machine, entry)
    assert outcome is Outcome.ADOPTED
    assert restored is not None
    with remote.files.borrow(restored.job.video_path) as copy:
        assert copy.read_bytes() == b"a video"
    assert remote.clean_up_in(timedelta(days=400)) >= {keys.source(UNKNOWN), chunk_key(keys.source(UNKNOWN), 0)}


def test_an_entry_is_deleted_with_what_the_storage_has_of_it(remote: Remote) -> None:
    assert lost_found.delete(remote.machine, _lost_upload(remote))
    assert remote.files.list_files(keys.UPLOADS) == []
