"""Resumable uploads under attack: concurrent requests, crashes and full disks at the worst moment."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from actors.recovery import lost_found, resumable
from actors.recovery.lost_found import INCOMING
from api.context import Context
from api.http.problems import Problem
from api.tus import receiving, requests
from api.tus.receiving import Reception, Receptions
from api.tus.stored import StoredUpload, UploadState
from api.uploads import acceptance
from api.uploads.file import UploadFile
from api.uploads.incomplete import delete_incomplete
from store import tables
from store.owners import DEFAULT_OWNER
from tests.api.conftest import VIDEO
from tests.api.test_tus import BYTES, TUS, Tus, digest, file_of, job_of, told


@pytest.fixture
def tus(client: TestClient) -> Tus:
    return Tus(client)


def test_a_late_request_does_not_end_one_that_is_being_accepted(
    tus: Tus, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer request that has found the older one waits for its lock; meanwhile the upload is complete."""
    path = tus.made()
    late: list[Reception] = []
    commit = acceptance._commit_job

    def commit_job(*args: Any) -> Any:  # Any: as the replaced function
        late.append(context.receptions._receiving[path.rpartition("/")[2]])
        with pytest.raises(Problem) as refused:
            late[0].interrupt()
        assert refused.value.status_code == 423
        assert tus.send("HEAD", path).status_code == 423
        assert tus.send("DELETE", path).status_code == 423
        return commit(*args)

    monkeypatch.setattr(acceptance, "_commit_job", commit_job)
    assert tus.patch(path, 0, VIDEO).headers["X-Job-Id"]
    assert late
    assert file_of(context, path).read_bytes() == VIDEO


def test_a_deletion_does_not_take_the_file_of_an_upload_that_becomes_a_job(
    tus: Tus, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tus.made()
    removed = requests._remove

    def remove(*args: Any) -> None:
        monkeypatch.setattr(requests, "_remove", removed)
        answers.append(tus.patch(path, 0, VIDEO).status_code)
        removed(*args)

    answers: list[int] = []
    monkeypatch.setattr(requests, "_remove", remove)
    deleted = tus.send("DELETE", path).status_code
    job = job_of(context, path)
    assert (job is None) == (answers[0] != 204)
    assert file_of(context, path).exists() == (job is not None)
    assert (deleted == 204) == (job is None)


def test_bytes_after_an_unverified_piece_are_kept(tus: Tus, context: Context) -> None:
    """A crash left a piece unverified; the client goes on without checksums."""
    path = tus.made()
    tus.patch(path, 0, VIDEO[:100])
    file_of(context, path, ".verified").write_text("100")
    assert tus.patch(path, 100, VIDEO[100:300]).headers["Upload-Offset"] == "300"
    assert tus.offset(path) == 300
    assert tus.patch(path, 300, VIDEO[300:]).headers["X-Job-Id"]
    assert file_of(context, path).read_bytes() == VIDEO


def test_an_expired_upload_is_not_moved_to_lost_found(tus: Tus, context: Context) -> None:
    path = tus.made()
    os.utime(file_of(context, path, INCOMING), ((context.now() - timedelta(hours=25)).timestamp(),) * 2)
    assert resumable.delete_expired(context) == 1
    assert lost_found.move_unrecorded(context) == []
    assert tus.send("HEAD", path).status_code == 410


def test_a_final_upload_has_no_body(tus: Tus, context: Context) -> None:
    part = tus.made(len(VIDEO), Upload_Concat="partial")
    tus.patch(part, 0, VIDEO)
    answer = tus.send("POST", "/files", {"Upload-Concat": f"final;{part}", **BYTES}, b"x")
    assert answer.status_code == 400
    assert tus.offset(part) == len(VIDEO)
    sent = {**TUS, **BYTES, "Upload-Concat": f"final;{part}"}
    for length in (1, None):
        with pytest.raises(Problem):
            requests.create(context, DEFAULT_OWNER, sent.get, length)
    assert tus.offset(part) == len(VIDEO)


def test_partial_uploads_outlive_a_final_one_that_is_refused(
    tus: Tus, context: Context, monkeypatch: pytest.MonkeyPatch, left: Callable[[], list[Path]]
) -> None:
    part = tus.made(len(VIDEO), Upload_Concat="partial")
    tus.patch(part, 0, VIDEO)
    before = left()

    def refuse(*_: object) -> None:
        raise Problem(503, "database_unavailable", "try again")

    with monkeypatch.context() as patch:
        patch.setattr(acceptance, "check_options", refuse)
        assert tus.send("POST", "/files", {"Upload-Concat": f"final;{part}"}).status_code == 503
    assert left() == before
    reserved = context.reservations.total_bytes
    answer = tus.send("POST", "/files", {"Upload-Concat": f"final;{part}"})
    assert (answer.status_code, "X-Job-Id" in answer.headers) == (201, True), answer.text
    assert file_of(context, answer.headers["Location"]).read_bytes() == VIDEO
    assert tus.send("HEAD", part).status_code == 404
    again = tus.send("POST", "/files", {"Upload-Concat": f"final;{part}"})
    assert (again.status_code, again.headers["Location"]) == (201, answer.headers["Location"])
    assert again.headers["X-Job-Id"] == answer.headers["X-Job-Id"]
    assert context.reservations.total_bytes == 0 < reserved


@pytest.mark.parametrize("name", [".tus.json.new", ".verified"])
def test_a_full_disk_at_a_small_file_is_a_503_and_holds_nothing(
    name: str, tus: Tus, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tus.made(None)
    write_text = Path.write_text

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        if self.name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        told_now = {"Upload_Length": str(len(VIDEO)), "Upload_Checksum": digest("sha1", VIDEO)}
        assert tus.patch(path, 0, VIDEO, **told_now).status_code == 503
    assert tus.patch(path, 0, VIDEO, **told_now).headers["X-Job-Id"]


def test_metadata_of_a_partial_upload_is_checked_whenever_it_is_told(tus: Tus) -> None:
    part = tus.made(10, Upload_Concat="partial")
    assert tus.patch(part, 0, b"", Upload_Metadata="\xff \xff").status_code == 400
    assert tus.send("HEAD", part).status_code == 200


def test_metadata_of_a_refused_request_is_not_kept(tus: Tus) -> None:
    path = tus.made(Upload_Metadata=told(title="first"))
    assert tus.patch(path, 7, b"x", Upload_Metadata=told(title="second")).status_code == 409
    assert tus.send("HEAD", path).headers["Upload-Metadata"] == told(title="first")


def test_a_creation_that_a_crash_has_cut_off_is_deleted(
    tus: Tus, context: Context, left: Callable[[], list[Path]]
) -> None:
    path = tus.made()
    file_of(context, path, ".tus.json").rename(file_of(context, path, ".tus.json.new"))
    delete_incomplete(context)
    assert left() == []


def test_a_joining_whose_response_got_lost_makes_one_job(
    tus: Tus, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tus.made(len(VIDEO), Upload_Concat="partial")
    tus.patch(part, 0, VIDEO)
    final = {"Upload-Concat": f"final;{part}"}
    with monkeypatch.context() as patch:
        # A killed process deletes nothing.
        patch.setattr(requests, "end_join", lambda *_: None)
        answer = tus.send("POST", "/files", final)
    assert tus.offset(part) == len(VIDEO)
    again = tus.send("POST", "/files", final)
    assert again.headers["X-Job-Id"] == answer.headers["X-Job-Id"]


def test_requests_that_join_the_same_uploads_at_once_make_one_job(
    tus: Tus, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds the directory of the other in any state, also before its file is locked."""
    part = tus.made(len(VIDEO), Upload_Concat="partial")
    tus.patch(part, 0, VIDEO)
    final = {"Upload-Concat": f"final;{part}"}
    create = UploadFile._create
    answers: list[Result] = []
    begun = threading.Event()

    def join() -> None:
        begun.set()
        answers.append(tus.send("POST", "/files", final))

    other = threading.Thread(target=join)

    def create_slowly(file: UploadFile) -> None:
        make = Path.mkdir

        def mkdir(path: Path, *args: Any, **kwargs: Any) -> None:  # Any: as the replaced method
            make(path, *args, **kwargs)
            if not other.ident:
                other.start()
                begun.wait(10)
                other.join(0.3)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "mkdir", mkdir)
            create(file)

    monkeypatch.setattr(UploadFile, "_create", create_slowly)
    answers.append(tus.send("POST", "/files", final))
    other.join(10)
    made = {answer.headers["X-Job-Id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.status_code for answer in answers} <= {201, 423, 404}
    [job_id] = made
    assert file_of(context, f"/files/{job_id}").read_bytes() == VIDEO


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_process_that_ends_before_the_commit_loses_no_complete_upload(
    is_committed: bool, tus: Tus, context: Context
) -> None:
    path = tus.made(Upload_Metadata=told(title="A talk"))
    tus.patch(path, 0, VIDEO)
    file_of(context, path, "accepted").unlink()
    if not is_committed:
        with context.store.writing(scope="everything") as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(table.delete())
    delete_incomplete(context)
    assert file_of(context, path).exists() is is_committed
    head = tus.send("HEAD", path)
    assert head.headers["X-Job-Id"] == path.rpartition("/")[2]
    job = job_of(context, path)
    assert job is not None
    assert job.title == "A talk"
    assert file_of(context, path).read_bytes() == VIDEO


def test_the_number_of_incomplete_uploads_is_limited(
    tus: Tus, monkeypatch: pytest.MonkeyPatch, left: Callable[[], list[Path]]
) -> None:
    """Each takes inodes, and time of each look at all of them."""
    monkeypatch.setattr(receiving, "MAX_INCOMPLETE", 2)
    paths = [tus.made(), tus.made()]
    before = left()
    refused = tus.create()
    assert (refused.status_code, refused.json["code"]) == (503, "too_many_uploads")
    assert refused.headers["Retry-After"]
    assert left() == before
    assert tus.patch(paths[0], 0, VIDEO).headers["X-Job-Id"]
    tus.send("DELETE", tus.made())
    tus.made()


def test_continuing_an_upload_looks_at_no_other(tus: Tus, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tus.made()

    def look(*_: object) -> None:
        raise AssertionError("looked at all uploads")

    monkeypatch.setattr(Receptions, "_release_expired", look)
    assert tus.patch(path, 0, VIDEO).status_code == 204


def test_an_upload_of_deferred_length_reserves_what_the_client_expects(tus: Tus, context: Context) -> None:
    """Without that, two abandoned ones of the page would reserve a small disk for a day."""
    path = tus.made(None, Upload_Metadata=told(filename="talk.mp4", size=str(len(VIDEO))))
    deferred = context.reservations.total_bytes
    tus.send("DELETE", path)
    path = tus.made()
    assert context.reservations.total_bytes == deferred
    tus.send("DELETE", path)

    path = tus.made(None, Upload_Metadata=told(size="1000"))
    fewer = {"Upload_Metadata": told(title="without the size")}
    assert tus.patch(path, 0, VIDEO[:1001], **fewer).status_code == 413
    assert tus.patch(path, 0, VIDEO[:1000], **fewer).status_code == 204
    assert tus.patch(path, 1000, b"", Upload_Length="1001").status_code == 413
    assert tus.patch(path, 1000, b"", Upload_Length="1000", **fewer).headers["X-Job-Id"]
    assert tus.create(None, Upload_Metadata=told(size=str(10**12))).status_code == 413
    for odd in ("-1", "1e9", "", "\u0661", "9" * 19):
        tus.send("DELETE", tus.made(None, Upload_Metadata=told(size=odd)))
    assert context.reservations.total_bytes == 0


def test_an_upload_that_goes_away_at_this_moment_is_a_423(tus: Tus, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tus.made()
    state = StoredUpload.state

    def then_delete(upload: StoredUpload, now: datetime) -> UploadState:
        found = state(upload, now)
        (upload.directory / INCOMING).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(StoredUpload, "state", then_delete)
    answer = tus.send("HEAD", path)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (423, "1")
