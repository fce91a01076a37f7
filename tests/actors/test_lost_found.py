"""Files without a record are moved to lost+found, kept, deleted when they expire, and adopted as jobs."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from actors import wiring
from actors.delete_files import delete_files
from actors.flow import job_commands
from actors.flow.completion import fail_job
from actors.flow.retention import HEARTBEAT
from actors.machine import Machine
from actors.recovery import adoption, lost_found, publishing_notes, upload_record
from actors.recovery.adoption import Outcome
from actors.recovery.lost_found import LostEntry
from actors.recovery.missing_files import FILE_MISSING, UPLOAD_GONE
from actors.ticks import cleanup
from scripts.machine.adopting import EntryCommand, show
from scripts.machine.installation import LOCK_NAME
from store import (
    DatabaseUnavailable,
    Sealer,
    Store,
    accounts,
    heartbeats,
    idempotency_keys,
    jobs,
    publications,
    segments,
)
from store.idempotency_keys import StoredAnswer
from store.jobs import Job
from store.owners import DEFAULT_OWNER
from store.sqlite import SqliteStore
from store.states import JobStatus, PublicationStatus, SegmentStatus
from store.tables import jobs as jobs_table
from store.tables import marks, metadata
from store.tables import publications as publications_table
from tests.actors.queues import change_machine, move_clock, waiting
from tests.store.rows import NOON, account, job, publication, segment

ONE, TWO, THREE, FOUR = (f"job_{digit * 32}" for digit in "1234")
SECRET = "https://hooks.example/x?token=hush"


def upload(
    job_id: str = ONE,
    *,
    record: bool = True,
    content: bytes = b"a video",
    accepted: bool = True,
    answer: StoredAnswer | None = None,
    **options: object,
) -> Job:
    """Lay an upload down as the API does, without a row."""
    directory = wiring.machine.settings.uploads_dir / job_id
    directory.mkdir(parents=True)
    (directory / "source").write_bytes(content)
    asked = Job(
        owner_id=DEFAULT_OWNER,
        id=job_id,
        status=JobStatus.PENDING,
        video_path=f"uploads/{job_id}/source",
        created_at=NOON,
        original_name="talk.mp4",
        size_bytes=len(content),
        **{"platforms": ["tiktok"], "gaze_intensity": 0.3, "segment_seconds": 12.0} | options,  # type: ignore[arg-type]  # a test's words
    )
    if record:
        (directory / upload_record.NAME).write_bytes(upload_record.encode(asked, wiring.machine.sealer, answer))
    if accepted:
        lost_found.mark_accepted(wiring.machine, job_id)
    return asked


def parts(job_id: str = ONE) -> None:
    directory = wiring.machine.settings.jobs_dir / job_id
    directory.mkdir(parents=True)
    for name in ("part-001.mp4", "part-001.report.json", "part-002.mp4"):
        (directory / name).write_bytes(b"a part")


def begin_publishing(job_id: str) -> None:
    publishing_notes.add(wiring.machine, publication(segment(1, job_id=job_id), account()))


def lost(job_id: str = ONE) -> LostEntry:
    [found] = [entry for entry in lost_found.entries(wiring.machine) if entry.job_id == job_id]
    return found


def row(job_id: str = ONE) -> Job | None:
    with wiring.machine.store.reading() as connection:
        return jobs.get(connection, job_id)


def delete_all_rows(store: Store) -> None:
    """Empty the database, as if a backup from before were put in its place."""
    with store.writing(scope="everything") as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@contextmanager
def receiving(job_id: str) -> Iterator[None]:
    """Hold an upload's lock as the process that receives it does."""
    descriptor = os.open(wiring.machine.settings.uploads_dir / job_id / "source", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def tree(root: Path) -> list[str]:
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return [path for path in found if not path.endswith(f"/{lost_found.ACCEPTED_MARK}")]


def test_whole_files_without_a_record_are_moved_with_all_that_lies_beside_them(store: Store) -> None:
    upload()
    parts()
    parts(TWO)
    before = (wiring.machine.settings.uploads_dir / ONE / "source").stat().st_ino

    cleanup.fn()

    assert tree(lost_found.directory(wiring.machine)) == [
        f"{ONE}/parts/part-001.mp4",
        f"{ONE}/parts/part-001.report.json",
        f"{ONE}/parts/part-002.mp4",
        f"{ONE}/source",
        f"{ONE}/upload.json",
        f"{TWO}/parts/part-001.mp4",
        f"{TWO}/parts/part-001.report.json",
        f"{TWO}/parts/part-002.mp4",
    ]
    assert (lost_found.directory(wiring.machine) / ONE / "source").stat().st_ino == before  # renamed, never copied
    found = lost()
    assert (found.file_name, found.has_upload, found.parts) == ("talk.mp4", True, 2)
    assert (lost(TWO).has_upload, lost(TWO).parts) == (False, 2)


def test_it_is_kept_for_its_days_from_the_move_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload()
    os.utime(wiring.machine.settings.uploads_dir / ONE, (0, 0))  # uploaded long ago
    cleanup.fn()
    pass_running(monkeypatch, timedelta(days=13, hours=23))
    assert lost().kept_until > wiring.machine.now()
    pass_running(monkeypatch, timedelta(hours=2))
    assert lost_found.entries(wiring.machine) == []


def pass_running(monkeypatch: pytest.MonkeyPatch, time: timedelta) -> None:
    """Let time pass in which the machine runs: its clean-ups saw each moment of it."""
    moment = move_clock(monkeypatch, time)
    with wiring.machine.store.writing(scope="everything") as connection:
        heartbeats.record(connection, HEARTBEAT, moment, wiring.machine.boot_time())
    cleanup.fn()


@pytest.mark.parametrize("ahead", [timedelta(days=15), timedelta(days=20_000)], ids=["switched off", "clock from 1970"])
def test_a_jump_of_the_clock_deletes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """A small computer without a clock's battery starts in the past; then the network tells it the time."""
    real = wiring.machine.now()
    move_clock(monkeypatch, -ahead)
    upload()
    monkeypatch.setattr(os, "utime", at_our_clock(os.utime))
    cleanup.fn()
    move_clock(monkeypatch, ahead)  # and the right time is there
    cleanup.fn()
    assert lost().kept_until >= real + timedelta(days=13)
    pass_running(monkeypatch, timedelta(days=14, hours=1))
    assert lost_found.entries(wiring.machine) == []


def at_our_clock(real: Callable[..., None]) -> Callable[..., None]:
    def utime(path: Path, times: tuple[float, float] | None = None) -> None:
        moment = wiring.machine.now().timestamp()
        real(path, times or (moment, moment))

    return utime


def test_a_clock_that_was_ahead_keeps_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload()
    cleanup.fn()
    before = lost().kept_until
    move_clock(monkeypatch, timedelta(days=365))
    cleanup.fn()
    move_clock(monkeypatch, -timedelta(days=365))
    cleanup.fn()
    assert lost().kept_until >= before


def test_a_new_database_lets_the_days_begin_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload()
    cleanup.fn()
    with store.writing(scope="everything") as connection:
        connection.execute(marks.delete())
    move_clock(monkeypatch, timedelta(days=15))
    cleanup.fn()
    assert lost().kept_until > wiring.machine.now() + timedelta(days=13)


def test_what_is_being_received_or_accepted_stays(store: Store) -> None:
    """Its process holds the lock until the record is committed: no age has to be guessed."""
    upload()
    half = wiring.machine.settings.uploads_dir / TWO
    half.mkdir()
    (half / ".incoming").write_bytes(b"half")
    with receiving(ONE):
        cleanup.fn()
        assert tree(wiring.machine.settings.uploads_dir) == [f"{ONE}/source", f"{ONE}/upload.json", f"{TWO}/.incoming"]
    cleanup.fn()
    assert tree(wiring.machine.settings.uploads_dir) == [f"{TWO}/.incoming"]


def test_what_is_no_job_is_not_touched(store: Store, tmp_path: Path) -> None:
    """Somebody's own folder, a link, a file; also in lost+found, which a file system's check may use."""
    for root in (
        wiring.machine.settings.uploads_dir,
        wiring.machine.settings.jobs_dir,
        lost_found.directory(wiring.machine),
    ):
        for name in ("holiday", "job_photos", ".hidden", "#12345"):
            (root / name).mkdir(parents=True)
            (root / name / "picture.jpg").write_bytes(b"x")
        (root / "notes.txt").write_bytes(b"x")
        (root / ONE).symlink_to(tmp_path)
    everything = tree(wiring.machine.settings.data_dir)
    cleanup.fn()
    assert [name for name in tree(wiring.machine.settings.data_dir) if "sqlite3" not in name] == [
        name for name in everything if "sqlite3" not in name
    ]
    assert lost_found.entries(wiring.machine) == []


def test_what_is_lost_a_second_time_overwrites_nothing(store: Store) -> None:
    for content in (b"first", b"second", b"third"):
        upload(content=content)
        parts()
        lost_found.move_unrecorded(wiring.machine)
    found = {path: path.read_bytes() for path in lost_found.directory(wiring.machine).rglob("source")}
    assert sorted(found.values()) == [b"first", b"second", b"third"]
    assert len(list(lost_found.directory(wiring.machine).rglob("part-001.mp4"))) == 3
    assert {entry.job_id for entry in lost_found.entries(wiring.machine)} == {ONE}


@pytest.mark.sqlite_only("a server's database is not replaced as a file is")
def test_nothing_moves_when_the_database_cannot_be_asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from store import DatabaseReplaced  # noqa: PLC0415

    def replaced() -> None:
        raise DatabaseReplaced("the database file")

    upload()
    assert isinstance(store, SqliteStore)
    monkeypatch.setattr(store._file, "check", replaced)
    with pytest.raises(DatabaseReplaced):
        lost_found.move_unrecorded(wiring.machine)
    assert lost_found.entries(wiring.machine) == []


def test_a_lost_found_of_the_file_system_is_left_to_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root of an ext4 volume has one that only root may write."""
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("/lost+found") and real(path, mode))
    upload()
    lost_found.move_unrecorded(wiring.machine)
    assert lost().directory.parent.name == "lost+found-vidprod"


@pytest.mark.parametrize("kind", ["file", "link to nothing", "link into itself"])
def test_what_is_no_directory_in_its_place_does_not_matter(store: Store, kind: str) -> None:
    place = wiring.machine.settings.data_dir / "lost+found"
    if kind == "file":
        place.write_bytes(b"x")
    else:
        place.symlink_to("nowhere" if kind == "link to nothing" else "lost+found")
    upload()
    try:
        cleanup.fn()
        assert lost().directory.parent.name == "lost+found-vidprod"
    finally:
        place.unlink()


def other_volume(name: str) -> Callable[[Path, Path], Path]:
    """Return a rename that fails into a directory of this name, as between two volumes."""
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if f"/{name}" in str(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(path, target)

    return rename


def test_a_lost_found_that_is_a_link_to_another_volume_gives_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload()
    parts(TWO)
    monkeypatch.setattr(Path, "rename", other_volume("lost+found/"))
    assert len(lost_found.move_unrecorded(wiring.machine)) == 2
    assert {entry.directory.parent.name for entry in lost_found.entries(wiring.machine)} == {"lost+found-vidprod"}
    assert tree(wiring.machine.settings.uploads_dir) == []


def test_a_volume_of_its_own_for_uploads_leaves_them_where_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload()
    parts(TWO)
    monkeypatch.setattr(Path, "rename", other_volume("lost+found"))
    assert lost_found.move_unrecorded(wiring.machine) == []
    assert tree(wiring.machine.settings.uploads_dir) == [f"{ONE}/source", f"{ONE}/upload.json"]
    assert lost_found.entries(wiring.machine) == []  # nor an empty one of the parts


@pytest.mark.logs_errors
def test_one_that_cannot_be_moved_or_deleted_does_not_hold_the_others_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's own, say, left by a console: once it ended each clean-up before anything behind it."""
    real_rename, real_rmtree = Path.rename, shutil.rmtree

    def rename(path: Path, target: Path) -> Path:
        if path.name == ONE:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_rename(path, target)

    def rmtree(path: Path) -> None:
        if path.name == THREE:
            raise PermissionError(errno.EACCES, "Permission denied")
        real_rmtree(path)

    for job_id in (ONE, TWO, THREE, FOUR):
        upload(job_id)
    with store.writing(scope="everything") as connection:
        for job_id in (THREE, FOUR):
            jobs.create(connection, job(job_id, status=JobStatus.FAILED))
            assert jobs.mark_files_deleted(connection, job_id, wiring.machine.now())
        heartbeats.record(connection, HEARTBEAT, wiring.machine.now(), wiring.machine.boot_time())
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    cleanup.fn()
    assert [entry.job_id for entry in lost_found.entries(wiring.machine)] == [TWO]
    assert {path.name for path in wiring.machine.settings.uploads_dir.iterdir()} == {ONE, THREE}


def test_an_entry_that_somebody_adopts_meanwhile_is_not_deleted(store: Store) -> None:
    """And neither is what was put in its place since it was looked at."""
    upload()
    lost_found.move_unrecorded(wiring.machine)
    seen = lost()
    assert adoption.adopt(wiring.machine, seen)[0] is Outcome.ADOPTED
    assert not lost_found.delete(wiring.machine, seen)
    delete_all_rows(store)
    lost_found.move_unrecorded(wiring.machine)
    os.utime(lost().directory, (1, 1))
    assert not lost_found.delete(wiring.machine, seen)
    assert len(lost_found.entries(wiring.machine)) == 1


def test_an_entry_that_goes_while_they_are_listed_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for job_id in (ONE, TWO):
        upload(job_id)
    lost_found.move_unrecorded(wiring.machine)
    real = upload_record.original_name

    def original_name(path: Path) -> str:
        if path.name == ONE:
            path.rename(path.with_name("elsewhere"))
        return real(path)

    monkeypatch.setattr(upload_record, "original_name", original_name)
    assert [entry.job_id for entry in lost_found.entries(wiring.machine)] == [TWO]


def test_a_record_has_no_secret_in_it(store: Store) -> None:
    upload(webhook_url=SECRET, metadata={"token": "hush"}, title="Über alles", publish_after=NOON)
    text = (wiring.machine.settings.uploads_dir / ONE / upload_record.NAME).read_text()
    assert "hush" not in text
    assert "Über alles" in text
    assert json.loads(text)["options"]["publish_after"] == NOON.isoformat()


def test_an_adopted_job_is_the_one_that_was_uploaded(store: Store) -> None:
    asked = upload(
        webhook_url=SECRET,
        metadata={"campaign": 7},
        title="A talk",
        caption="c",
        publish_after=NOON,
        accounts=["tiktok-1"],
        post_options={"tiktok": {"privacy": "private"}},
    )
    lost_found.move_unrecorded(wiring.machine)

    outcome, restored = adoption.adopt(wiring.machine, lost())

    assert (outcome, restored.missing if restored else "") == (Outcome.ADOPTED, None)
    held = replace(asked, review_reasons=["restored"])
    assert row() == held
    assert ("split", (ONE,)) in waiting()
    assert (lost_found.entries(wiring.machine), tree(wiring.machine.settings.uploads_dir)) == (
        [],
        [f"{ONE}/source", f"{ONE}/upload.json"],
    )
    cleanup.fn()
    assert row() == held


@pytest.mark.parametrize(
    ("reasons", "left"),
    [
        (None, []),
        (["requested"], ["requested"]),
        (["dry_run"], ["dry_run"]),
        (["requested", "sound_unreadable"], ["requested"]),  # the rest is found again
    ],
    ids=repr,
)
def test_an_adopted_job_waits_for_approval(store: Store, reasons: list[str] | None, left: list[str]) -> None:
    """The decisions after the upload are lost with the database: holds, times, words, cuts and approvals."""
    upload(review_reasons=reasons)
    lost_found.move_unrecorded(wiring.machine)
    _, restored = adoption.adopt(wiring.machine, lost())
    found = row()
    assert found is not None
    assert restored is not None
    assert (found.review_reasons, found.approved_at, restored.job) == ([*left, "restored"], None, found)
    assert job_commands.approve_restored(wiring.machine, DEFAULT_OWNER) == ((0, 1) if left else (1, 0))
    found = row()
    assert found is not None
    assert (found.approved_at is None) == bool(left)


def test_a_record_of_an_earlier_version_is_read(store: Store) -> None:
    upload()
    record = wiring.machine.settings.uploads_dir / ONE / upload_record.NAME
    document = json.loads(record.read_text())
    del document["options"]["review"]
    record.write_text(json.dumps(document))
    lost_found.move_unrecorded(wiring.machine)
    adoption.adopt(wiring.machine, lost())
    found = row()
    assert found is not None
    assert (found.review_reasons, found.segment_seconds) == (["restored"], 12.0)


DEEP = b"[" * 100_000
LARGE = b" " * (upload_record.MAX_BYTES + 1) + b"{}"


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b'{"options": 3}', b'{"version": 1}', b"\xff\xfe", b"\0" * 400, DEEP, LARGE],
    ids=lambda content: repr(content)[:12],
)
def test_without_a_readable_record_the_defaults_are_taken_and_the_name_says_so(
    store: Store, content: bytes | None
) -> None:
    upload(record=False)
    if content is not None:
        (wiring.machine.settings.uploads_dir / ONE / upload_record.NAME).write_bytes(content)
    lost_found.move_unrecorded(wiring.machine)
    outcome, restored = adoption.adopt(wiring.machine, lost())
    assert (outcome, bool(restored and restored.missing)) == (Outcome.ADOPTED, True)
    found = row()
    assert found is not None
    assert (found.original_name, found.platforms, found.size_bytes) == (upload_record.UNKNOWN_NAME, None, 7)
    assert found.gaze_intensity == wiring.machine.settings.gaze_intensity
    assert found.approved_at is None
    assert found.review_reasons == ["options_lost", "restored"]  # it was perhaps for one platform


def paths(document: object, at: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Give the place of every value in a JSON document."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield (*at, name)
            yield from paths(value, (*at, name))


@pytest.mark.parametrize(
    "value", [None, 3, -1, 1e308, "x", "\ud800\x1b[2J\n", [], ["x"], [["x"]], {}, "0001-01-01T00:00:00+23:00"], ids=repr
)
def test_whatever_a_record_holds_in_any_place_is_adopted(store: Store, value: object) -> None:
    """Half written, or by another program: the video counts. What is taken is in its range, the rest is asked for."""
    upload(answer=stored_answer(), publish_after=NOON)
    record = wiring.machine.settings.uploads_dir / ONE / upload_record.NAME
    whole = json.loads(record.read_text())
    for place in paths(whole):
        changed = json.loads(json.dumps(whole))
        inner = changed
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        record.write_text(json.dumps(changed))
        lost_found.move_unrecorded(wiring.machine)
        show(lost_found.entries(wiring.machine))
        assert adoption.adopt(wiring.machine, lost())[0] is Outcome.ADOPTED, place
        found = row()
        assert found is not None
        assert 0 <= found.gaze_intensity <= 1
        assert found.segment_seconds > 0
        assert found.original_name.isprintable(), place
        assert found.review_reasons or found.platforms in (None, ["tiktok"])
        delete_all_rows(store)
        wiring.machine.broker.flush_all()


def stored_answer(job_id: str = ONE, *, key: str = "key", fingerprint: str = "same") -> StoredAnswer:
    return StoredAnswer(
        key_hash=key, fingerprint=fingerprint, job_id=job_id, status=202, headers={"X-Job-Id": job_id}, body="{}",
        expires_at=wiring.machine.now() + timedelta(hours=24),
    )  # fmt: skip


def test_an_upload_whose_sender_got_no_answer_is_adopted_only_by_its_name(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its process died between the file's name and the commit: whoever heard nothing sends it again."""
    upload(accepted=False)
    upload(TWO)
    upload(THREE, record=False, accepted=False)  # from before there were records: it was accepted
    lost_found.move_unrecorded(wiring.machine)
    work = EntryCommand(lost_found.entries(wiring.machine), delete=False)
    assert work.run_all()
    assert [entry.job_id for entry in lost_found.entries(wiring.machine)] == [ONE]
    assert f"{ONE}: not adopted: talk.mp4 (the client got no answer and may have uploaded it again)" in (
        capsys.readouterr().out
    )
    assert work.run([ONE])
    delete_all_rows(store)
    lost_found.move_unrecorded(wiring.machine)
    assert all(entry.was_accepted for entry in lost_found.entries(wiring.machine))


def test_what_was_sent_again_meanwhile_is_no_second_job(store: Store) -> None:
    """An older database was put in place; the client, which never got its answer, repeated its request."""
    upload(answer=stored_answer())
    lost_found.move_unrecorded(wiring.machine)
    again = replace(upload(TWO), id=TWO)
    assert job_commands.accept(wiring.machine, again, stored_answer(TWO)) is None
    assert adoption.adopt(wiring.machine, lost()) == (Outcome.REPEATED, None)
    assert EntryCommand(lost_found.entries(wiring.machine), delete=False).run_all()
    assert (row(), len(lost_found.entries(wiring.machine))) == (None, 1)
    assert tree(wiring.machine.settings.uploads_dir) == [f"{TWO}/source", f"{TWO}/upload.json"]


def test_a_request_that_is_repeated_after_the_adoption_gets_the_first_answer(store: Store) -> None:
    upload(answer=stored_answer())
    lost_found.move_unrecorded(wiring.machine)
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.ADOPTED
    second = replace(upload(TWO), id=TWO)
    repeated = job_commands.accept(wiring.machine, second, stored_answer(TWO))
    assert (repeated and repeated.job_id, row(TWO)) == (ONE, None)


@pytest.mark.parametrize("days", [0.5, 13])
def test_a_second_copy_is_known_as_long_as_it_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    """Answers are repeated for a day, but a copy that was left when a process died lies here for fourteen."""
    upload(answer=stored_answer(), accepted=True)
    again = replace(upload(TWO), id=TWO)
    assert job_commands.accept(wiring.machine, again, stored_answer(TWO)) is None
    lost_found.move_unrecorded(wiring.machine)
    pass_running(monkeypatch, timedelta(days=days))
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.REPEATED


def test_a_key_that_serves_another_upload_by_now_hinders_nothing(store: Store) -> None:
    upload(answer=stored_answer())
    lost_found.move_unrecorded(wiring.machine)
    other = replace(upload(TWO), id=TWO)
    assert job_commands.accept(wiring.machine, other, stored_answer(TWO, fingerprint="other")) is None
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.ADOPTED
    with store.reading() as connection:
        kept = idempotency_keys.get(connection, "key", wiring.machine.now())
    assert kept is not None
    assert kept.job_id == TWO


def test_another_secret_key_costs_the_webhook_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(webhook_url=SECRET, title="A talk")
    lost_found.move_unrecorded(wiring.machine)
    change_machine(monkeypatch, sealer=Sealer("another key of sixteen"))
    _, restored = adoption.adopt(wiring.machine, lost())
    assert restored is not None
    assert "SECRET_KEY" in (restored.missing or "")
    found = row()
    assert found is not None
    assert (found.title, found.webhook_url) == ("A talk", None)


class _Cut(BaseException):
    """The process dies here; what runs afterwards is another one."""


@pytest.mark.parametrize("step", ["touch", "rename", "commit", "committed", "accepted", "unlink"])
def test_an_adoption_that_is_cut_off_can_be_repeated(store: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    asked = upload()
    lost_found.move_unrecorded(wiring.machine)
    with monkeypatch.context() as patched:
        _cut_at(patched, step)
        with pytest.raises(_Cut):
            adoption.adopt(wiring.machine, lost())

    lost_found.move_cut_off_adoptions(wiring.machine)
    for entry in lost_found.entries(wiring.machine):
        assert adoption.adopt(wiring.machine, entry)[0] is Outcome.ADOPTED
    lost_found.move_cut_off_adoptions(wiring.machine)

    assert row() == replace(asked, review_reasons=["restored"])
    assert waiting().count(("split", (ONE,))) == 1
    assert (lost_found.entries(wiring.machine), tree(wiring.machine.settings.uploads_dir)) == (
        [],
        [f"{ONE}/source", f"{ONE}/upload.json"],
    )


def _cut_at(patched: pytest.MonkeyPatch, step: str) -> None:
    """Let everything from a step on fail, also what tidies up: as if the process were gone."""

    def die(*_: object, **__: object) -> None:
        raise _Cut

    real = job_commands.accept
    if step in {"touch", "accepted"}:
        real_touch = Path.touch
        name = lost_found.ADOPTING_MARK if step == "touch" else lost_found.ACCEPTED_MARK
        patched.setattr(Path, "touch", lambda path: die() if path.name == name else real_touch(path))
    elif step == "rename":
        patched.setattr(Path, "rename", die)
    elif step == "unlink":
        patched.setattr(Path, "unlink", die)
    else:

        def accept(machine: Machine, job: Job, answer: StoredAnswer | None) -> None:
            if step == "committed":
                real(machine, job, answer)
            patched.setattr(Path, "rename", die)  # it cannot tidy up any more
            raise _Cut

        patched.setattr(job_commands, "accept", accept)


def test_an_adoption_that_the_database_refuses_leaves_the_entry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload()
    lost_found.move_unrecorded(wiring.machine)

    def refuse(*_: object) -> None:
        raise DatabaseUnavailable("disk_full", "the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(job_commands, "accept", refuse)
        with pytest.raises(DatabaseUnavailable):
            adoption.adopt(wiring.machine, lost())
    assert tree(wiring.machine.settings.uploads_dir) == []
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.ADOPTED


def test_two_who_adopt_at_once_make_one_job(store: Store) -> None:
    upload()
    lost_found.move_unrecorded(wiring.machine)
    entry = lost()
    with lost_found.locked(entry.directory / "source"):
        assert adoption.adopt(wiring.machine, entry)[0] is Outcome.BUSY
    assert adoption.adopt(wiring.machine, entry)[0] is Outcome.ADOPTED
    assert adoption.adopt(wiring.machine, entry)[0] is not Outcome.ADOPTED


def test_a_job_that_is_known_gets_its_file_back(store: Store) -> None:
    """Yesterday's database moved it away; then the right one was restored."""
    asked = upload()
    lost_found.move_unrecorded(wiring.machine)
    with store.writing(scope="everything") as connection:
        jobs.create(connection, asked)
    with store.writing(scope="everything") as connection:
        fail_job(wiring.machine, connection, ONE, code=FILE_MISSING, error=UPLOAD_GONE, retryable=True)

    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.RETURNED

    found = row()
    assert found is not None
    assert (found.status, found.error) == (JobStatus.PENDING, None)
    assert ("split", (ONE,)) in waiting()
    assert tree(wiring.machine.settings.uploads_dir) == [f"{ONE}/source", f"{ONE}/upload.json"]


def rendered(store: Store, *sizes: int) -> None:
    """Let the job have rendered parts of these sizes, each to be published, as its own database says."""
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(ONE, parts=len(sizes)))
        accounts.connect(connection, account())
        for number, size in enumerate(sizes, start=1):
            part = segment(number, job_id=ONE, status=SegmentStatus.READY)
            segments.create(connection, [replace(part, size_bytes=size)])
            publications.create(connection, [publication(part, account(), status=PublicationStatus.FAILED)])
        connection.execute(publications_table.update().values(code=FILE_MISSING))
        connection.execute(jobs_table.update().values(status=JobStatus.FAILED, completed_at=wiring.machine.now()))


@pytest.mark.parametrize("whole", [True, False], ids=["with its upload", "parts only"])
def test_rendered_parts_are_given_back_and_tried_again(store: Store, whole: bool) -> None:
    """Yesterday's database moved them away, then the right one was restored: its job failed for the files."""
    if whole:
        upload()
        begin_publishing(ONE)
    parts()
    lost_found.move_unrecorded(wiring.machine)
    rendered(store, len(b"a part"), len(b"a part"))
    assert EntryCommand(
        lost_found.entries(wiring.machine), delete=False
    ).run_all()  # the database knows what was published
    assert tree(wiring.machine.settings.jobs_dir) == [
        f"{ONE}/part-001.mp4", f"{ONE}/part-001.report.json", f"{ONE}/part-002.mp4"
    ]  # fmt: skip
    found = row()
    assert found is not None
    assert found.status is JobStatus.PUBLISHING
    assert ("publish_tiktok", (f"{ONE}-1-tiktok-1",)) in waiting()
    assert lost_found.entries(wiring.machine) == []


def test_a_part_of_another_size_is_not_this_one(store: Store) -> None:
    """Rendered again under the other database, with other cuts perhaps."""
    parts()
    lost_found.move_unrecorded(wiring.machine)
    rendered(store, len(b"a part"), 4711)
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.RETURNED
    assert tree(wiring.machine.settings.jobs_dir) == [f"{ONE}/part-001.mp4", f"{ONE}/part-001.report.json"]
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.KNOWN
    assert lost().parts == 1


@pytest.mark.parametrize("days", [2, 13])
def test_a_job_that_failed_for_its_file_waits_as_long_as_it_may_be_found(
    store: Store, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """After a day its files were given up, which were in lost+found, and nothing could bring them back."""
    asked = upload()
    lost_found.move_unrecorded(wiring.machine)
    with store.writing(scope="everything") as connection:
        jobs.create(connection, asked)
    with store.writing(scope="everything") as connection:
        fail_job(wiring.machine, connection, ONE, code=FILE_MISSING, error=UPLOAD_GONE, retryable=True)
    pass_running(monkeypatch, timedelta(days=days))
    delete_files.fn(ONE)
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.RETURNED
    assert ("split", (ONE,)) in waiting()


def test_rendered_parts_alone_make_no_job(store: Store) -> None:
    parts()
    lost_found.move_unrecorded(wiring.machine)
    assert adoption.adopt(wiring.machine, lost())[0] is Outcome.NO_UPLOAD
    assert lost_found.delete(wiring.machine, lost())
    assert lost_found.entries(wiring.machine) == []


def test_the_files_of_a_job_that_has_given_them_up_are_still_deleted(store: Store) -> None:
    upload()
    parts()
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job(ONE, status=JobStatus.FAILED))
        assert jobs.mark_files_deleted(connection, ONE, wiring.machine.now())
    cleanup.fn()
    assert (tree(wiring.machine.settings.uploads_dir), tree(wiring.machine.settings.jobs_dir)) == ([], [])
    assert lost_found.entries(wiring.machine) == []


def test_what_may_be_public_is_marked(store: Store) -> None:
    upload()
    begin_publishing(ONE)
    begin_publishing(TWO)  # its files are gone: nothing to mark
    lost_found.move_unrecorded(wiring.machine)
    assert lost().publishing_began


def test_what_was_being_published_is_adopted_only_when_that_is_said(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    del store
    upload()
    begin_publishing(ONE)
    lost_found.move_unrecorded(wiring.machine)
    assert not EntryCommand(lost_found.entries(wiring.machine), delete=False).run([ONE])
    assert "not adopted, its publishing had begun. All parts would be published again" in capsys.readouterr().err
    assert row() is None
    assert EntryCommand(lost_found.entries(wiring.machine), delete=False, again=True).run([ONE])
    said = capsys.readouterr().out
    assert f"{ONE}: adopted; a job was created" in said
    assert "it is published after you have approved it" in said


def test_an_empty_list_says_when_it_is_filled(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """After a restored backup somebody looks before the start, and must not take the files for lost."""
    del store
    show([])
    nothing = "lost+found is empty; files without a record are moved there when the machine starts.\n"
    assert capsys.readouterr().out == nothing
    with (wiring.machine.settings.data_dir / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        show([])
    assert capsys.readouterr().out == "lost+found is empty.\n"
    show([])
    assert capsys.readouterr().out == nothing
