"""Files without a record: moved, kept, deleted late, and made jobs of again; never deleted for want of a record."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from actors import adoption, intake, lost_found, upload_record, wiring
from actors.adoption import Outcome
from actors.cleanup import cleanup
from actors.lost_found import Lost
from actors.missing_files import FILE_MISSING, UPLOAD_GONE
from actors.settling import fail_job
from store import Sealer, Store, jobs
from store.jobs import Job
from store.states import JobStatus
from tests.actors.queues import move_clock, waiting
from tests.store.rows import NOON, job

ONE, TWO = "job_" + "1" * 32, "job_" + "2" * 32
SECRET = "https://hooks.example/x?token=hush"


def upload(job_id: str = ONE, *, record: bool = True, content: bytes = b"a video", **wishes: object) -> Job:
    """Lay an upload down as the API does, without a row."""
    directory = wiring.settings.uploads_dir / job_id
    directory.mkdir(parents=True)
    (directory / "source").write_bytes(content)
    asked = Job(
        id=job_id,
        status=JobStatus.PENDING,
        video_path=f"uploads/{job_id}/source",
        created_at=NOON,
        original_name="talk.mp4",
        size_bytes=len(content),
        **{"platforms": ["tiktok"], "gaze_intensity": 0.3, "segment_seconds": 12.0} | wishes,  # type: ignore[arg-type]  # a test's words
    )
    if record:
        (directory / upload_record.NAME).write_bytes(upload_record.encode(asked, wiring.sealer))
    return asked


def parts(job_id: str = ONE) -> None:
    directory = wiring.settings.jobs_dir / job_id
    directory.mkdir(parents=True)
    for name in ("part-001.mp4", "part-001.report.json", "part-002.mp4"):
        (directory / name).write_bytes(b"a part")


def lost(job_id: str = ONE) -> Lost:
    [found] = [entry for entry in lost_found.entries() if entry.job_id == job_id]
    return found


def row(job_id: str = ONE) -> Job | None:
    with wiring.store.reading() as connection:
        return jobs.get(connection, job_id)


@contextmanager
def receiving(job_id: str) -> Iterator[None]:
    """Hold an upload's lock as the process that receives it does."""
    descriptor = os.open(wiring.settings.uploads_dir / job_id / "source", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_whole_files_without_a_record_are_moved_with_all_that_lies_beside_them(store: Store) -> None:
    upload()
    parts()
    parts(TWO)
    before = (wiring.settings.uploads_dir / ONE / "source").stat().st_ino

    cleanup.fn()

    assert tree(lost_found.directory()) == [
        f"{ONE}/parts/part-001.mp4",
        f"{ONE}/parts/part-001.report.json",
        f"{ONE}/parts/part-002.mp4",
        f"{ONE}/source",
        f"{ONE}/upload.json",
        f"{TWO}/parts/part-001.mp4",
        f"{TWO}/parts/part-001.report.json",
        f"{TWO}/parts/part-002.mp4",
    ]
    assert (lost_found.directory() / ONE / "source").stat().st_ino == before  # renamed, never copied
    found = lost()
    assert (found.file_name, found.has_upload, found.parts) == ("talk.mp4", True, 2)
    assert (lost(TWO).has_upload, lost(TWO).parts) == (False, 2)


def test_it_is_kept_for_its_days_from_the_move_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload()
    os.utime(wiring.settings.uploads_dir / ONE, (0, 0))  # uploaded long ago
    cleanup.fn()
    move_clock(monkeypatch, timedelta(days=13, hours=23))
    cleanup.fn()
    assert lost().kept_until > wiring.now()
    move_clock(monkeypatch, timedelta(hours=2))
    cleanup.fn()
    assert lost_found.entries() == []


def test_what_is_being_received_or_accepted_stays(store: Store) -> None:
    """Its process holds the lock until the record is committed: no age has to be guessed."""
    upload()
    half = wiring.settings.uploads_dir / TWO
    half.mkdir()
    (half / ".incoming").write_bytes(b"half")
    with receiving(ONE):
        cleanup.fn()
        assert tree(wiring.settings.uploads_dir) == [f"{ONE}/source", f"{ONE}/upload.json", f"{TWO}/.incoming"]
    cleanup.fn()
    assert tree(wiring.settings.uploads_dir) == [f"{TWO}/.incoming"]


def test_what_is_no_job_is_not_touched(store: Store, tmp_path: Path) -> None:
    """Somebody's own folder, a link, a file; also in lost+found, which a file system's check may use."""
    for root in (wiring.settings.uploads_dir, wiring.settings.jobs_dir, lost_found.directory()):
        for name in ("holiday", "job_photos", ".hidden", "#12345"):
            (root / name).mkdir(parents=True)
            (root / name / "picture.jpg").write_bytes(b"x")
        (root / "notes.txt").write_bytes(b"x")
        (root / ONE).symlink_to(tmp_path)
    everything = tree(wiring.settings.data_dir)
    cleanup.fn()
    assert [name for name in tree(wiring.settings.data_dir) if "sqlite3" not in name] == [
        name for name in everything if "sqlite3" not in name
    ]
    assert lost_found.entries() == []


def test_what_is_lost_a_second_time_overwrites_nothing(store: Store) -> None:
    for content in (b"first", b"second", b"third"):
        upload(content=content)
        parts()
        lost_found.move_unrecorded()
    found = {path: path.read_bytes() for path in lost_found.directory().rglob("source")}
    assert sorted(found.values()) == [b"first", b"second", b"third"]
    assert len(list(lost_found.directory().rglob("part-001.mp4"))) == 3
    assert {entry.job_id for entry in lost_found.entries()} == {ONE}


def test_nothing_moves_when_the_database_cannot_be_asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from store import DatabaseReplaced  # noqa: PLC0415

    def replaced() -> None:
        raise DatabaseReplaced("the database file")

    upload()
    monkeypatch.setattr(wiring.store._file, "check", replaced)
    with pytest.raises(DatabaseReplaced):
        lost_found.move_unrecorded()
    assert lost_found.entries() == []


def test_a_lost_found_of_the_file_system_is_left_to_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root of an ext4 volume has one that only root may write."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("/lost+found") and real(path, mode))
    upload()
    lost_found.move_unrecorded()
    assert lost().directory.parent.name == "lost+found-vidprod"


def test_a_volume_of_its_own_for_uploads_leaves_them_where_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_volume(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    upload()
    monkeypatch.setattr(Path, "rename", other_volume)
    assert lost_found.move_unrecorded() == []
    assert tree(wiring.settings.uploads_dir) == [f"{ONE}/source", f"{ONE}/upload.json"]


def test_a_record_has_no_secret_in_it(store: Store) -> None:
    upload(webhook_url=SECRET, metadata={"token": "hush"}, title="Über alles", publish_after=NOON)
    text = (wiring.settings.uploads_dir / ONE / upload_record.NAME).read_text()
    assert "hush" not in text
    assert "Über alles" in text
    assert json.loads(text)["options"]["publish_after"] == NOON.isoformat()


def test_an_adopted_job_is_the_one_that_was_uploaded(store: Store) -> None:
    asked = upload(webhook_url=SECRET, metadata={"campaign": 7}, title="A talk", caption="c", publish_after=NOON)
    lost_found.move_unrecorded()

    outcome, remade = adoption.adopt(lost())

    assert (outcome, remade.lost if remade else "") == (Outcome.ADOPTED, None)
    assert row() == asked
    assert ("split", (ONE,)) in waiting()
    assert (lost_found.entries(), tree(wiring.settings.uploads_dir)) == ([], [f"{ONE}/source", f"{ONE}/upload.json"])
    cleanup.fn()
    assert row() == asked


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"options": 3}', b'{"version": 1}', b"\xff\xfe"])
def test_without_a_readable_record_the_defaults_are_taken_and_the_name_says_so(
    store: Store, content: bytes | None
) -> None:
    upload(record=False)
    if content is not None:
        (wiring.settings.uploads_dir / ONE / upload_record.NAME).write_bytes(content)
    lost_found.move_unrecorded()
    outcome, remade = adoption.adopt(lost())
    assert (outcome, bool(remade and remade.lost)) == (Outcome.ADOPTED, True)
    found = row()
    assert found is not None
    assert (found.original_name, found.platforms, found.size_bytes) == (upload_record.UNKNOWN_NAME, None, 7)
    assert found.gaze_intensity == wiring.settings.gaze_intensity


def test_another_secret_key_costs_the_webhook_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(webhook_url=SECRET, title="A talk")
    lost_found.move_unrecorded()
    monkeypatch.setattr(wiring, "sealer", Sealer("another key of sixteen"))
    _, remade = adoption.adopt(lost())
    assert remade is not None
    assert "SECRET_KEY" in (remade.lost or "")
    found = row()
    assert found is not None
    assert (found.title, found.webhook_url) == ("A talk", None)


class _Cut(BaseException):
    """The process dies here; what runs afterwards is another one."""


@pytest.mark.parametrize("step", ["touch", "rename", "commit", "committed", "unlink"])
def test_an_adoption_that_is_cut_off_can_be_repeated(store: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    asked = upload()
    lost_found.move_unrecorded()
    with monkeypatch.context() as patched:
        _cut_at(patched, step)
        with pytest.raises(_Cut):
            adoption.adopt(lost())

    lost_found.move_cut_off_adoptions()
    for entry in lost_found.entries():
        assert adoption.adopt(entry)[0] is Outcome.ADOPTED
    lost_found.move_cut_off_adoptions()

    assert row() == asked
    assert waiting().count(("split", (ONE,))) == 1
    assert (lost_found.entries(), tree(wiring.settings.uploads_dir)) == ([], [f"{ONE}/source", f"{ONE}/upload.json"])


def _cut_at(patched: pytest.MonkeyPatch, step: str) -> None:
    """Let everything from a step on fail, also what tidies up: as if the process were gone."""

    def die(*_: object, **__: object) -> None:
        raise _Cut

    real = intake.accept
    if step == "touch":
        patched.setattr(Path, "touch", die)
    elif step == "rename":
        patched.setattr(Path, "rename", die)
    elif step == "unlink":
        patched.setattr(Path, "unlink", die)
    else:

        def accept(job: Job) -> None:
            if step == "committed":
                real(job)
            patched.setattr(Path, "rename", die)  # it cannot tidy up any more
            raise _Cut

        patched.setattr(intake, "accept", accept)


def test_two_who_adopt_at_once_make_one_job(store: Store) -> None:
    upload()
    lost_found.move_unrecorded()
    entry = lost()
    with lost_found.locked(entry.directory / "source"):
        assert adoption.adopt(entry)[0] is Outcome.BUSY
    assert adoption.adopt(entry)[0] is Outcome.ADOPTED
    assert adoption.adopt(entry)[0] is not Outcome.ADOPTED


def test_a_job_that_is_known_gets_its_file_back(store: Store) -> None:
    """Yesterday's database moved it away; then the right one was restored."""
    asked = upload()
    lost_found.move_unrecorded()
    with store.writing() as connection:
        jobs.create(connection, asked)
    fail_job(ONE, code=FILE_MISSING, error=UPLOAD_GONE, retryable=True)

    assert adoption.adopt(lost())[0] is Outcome.RETURNED

    found = row()
    assert found is not None
    assert (found.status, found.error) == (JobStatus.PENDING, None)
    assert ("split", (ONE,)) in waiting()
    assert tree(wiring.settings.uploads_dir) == [f"{ONE}/source", f"{ONE}/upload.json"]


def test_rendered_parts_alone_make_no_job(store: Store) -> None:
    parts()
    lost_found.move_unrecorded()
    assert adoption.adopt(lost())[0] is Outcome.NO_UPLOAD
    assert lost_found.delete(lost())
    assert lost_found.entries() == []


def test_the_files_of_a_job_that_has_given_them_up_are_still_deleted(store: Store) -> None:
    upload()
    parts()
    with store.writing() as connection:
        jobs.create(connection, job(ONE, status=JobStatus.FAILED))
        assert jobs.give_files_up(connection, ONE, wiring.now())
    cleanup.fn()
    assert (tree(wiring.settings.uploads_dir), tree(wiring.settings.jobs_dir)) == ([], [])
    assert lost_found.entries() == []


def test_what_may_be_public_is_marked(store: Store) -> None:
    upload()
    lost_found.mark_publishing(ONE)
    lost_found.mark_publishing(TWO)  # its files are gone: nothing to mark
    lost_found.move_unrecorded()
    assert lost().publishing_began
