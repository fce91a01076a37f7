"""Resumable uploads follow tus 1.0.0, rule by rule, and become jobs as other uploads do."""

from __future__ import annotations

import base64
import errno
import hashlib
import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from falcon.testing import Result, TestClient

from actors.disk import Disk
from actors.recovery import resumable
from actors.recovery.lost_found import INCOMING
from api.app import create_app
from api.context import Context
from api.http.problems import Problem
from api.tus import protocol, requests
from api.tus.receiving import Receptions
from api.uploads import background_sync
from api.uploads.reservations import Reservations
from store import jobs
from store.owners import DEFAULT_OWNER
from store.tables import accounts
from tests.api.conftest import AUTH, VIDEO, connect, with_settings
from tests.support.clock import Clock

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


def told(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def digest(algorithm: str, data: bytes) -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


class Tus:
    """A client of the protocol that sends what it is told to."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def send(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Result:
        answer = self._client.simulate_request(method, path, headers={**TUS, **(headers or {})}, body=body)
        assert (answer.headers.get("Tus-Resumable") == "1.0.0") is (method != "OPTIONS"), "on every answer but OPTIONS"
        return answer

    def create(self, length: int | None = len(VIDEO), body: bytes = b"", **headers: str) -> Result:
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", "/files", {**size, **(BYTES if body else {}), **sent}, body)

    def made(self, length: int | None = len(VIDEO), body: bytes = b"", **headers: str) -> str:
        answer = self.create(length, body, **headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"]

    def patch(self, path: str, offset: int, body: bytes, **headers: str) -> Result:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("PATCH", path, {**BYTES, "Upload-Offset": str(offset), **sent}, body)

    def offset(self, path: str) -> int:
        answer = self.send("HEAD", path)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        return int(answer.headers["Upload-Offset"])


@pytest.fixture
def tus(client: TestClient) -> Tus:
    return Tus(client)


def job_of(context: Context, path: str) -> jobs.Job | None:
    with context.store.reading() as connection:
        return jobs.get(connection, path.rpartition("/")[2])


def file_of(context: Context, path: str, name: str = "source") -> Path:
    return context.settings.uploads_dir / path.rpartition("/")[2] / name


def test_an_upload_in_pieces_becomes_a_job_with_its_options(tus: Tus, context: Context) -> None:
    connect(context, "tiktok")
    path = tus.made(Upload_Metadata=told(filename="talk.mp4", title="A talk", platforms="tiktok", relativePath="null"))
    assert path == f"/files/{path.rpartition('/')[2]}", "relative: behind a proxy the scheme is unknown"
    for start in range(0, len(VIDEO), 4000):
        piece = VIDEO[start : start + 4000]
        answer = tus.patch(path, start, piece)
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(start + len(piece)))
        assert ("X-Job-Id" in answer.headers) is (start + len(piece) == len(VIDEO))
        assert ("Upload-Expires" in answer.headers) is (start + len(piece) < len(VIDEO))
    job = job_of(context, path)
    assert job is not None
    assert answer.headers["X-Job-Id"] == job.id
    assert (job.title, job.platforms, job.original_name, job.size_bytes) == (
        "A talk",
        ["tiktok"],
        "talk.mp4",
        len(VIDEO),
    )
    assert file_of(context, path).read_bytes() == VIDEO


def test_pieces_are_synced_as_they_come_however_small_they_are(tus: Tus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the last one waits for the whole video: 167 ms for 500 MB on a fast disk, 30 s on a small one."""
    synced_bytes: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced_bytes.append(os.fstat(fd).st_size))
    monkeypatch.setattr(background_sync, "SYNC_EVERY_BYTES", 2500)
    path = tus.made()
    for start in range(0, 10_000, 1000):
        tus.patch(path, start, VIDEO[start : start + 1000])
        background_sync.wait_for_all()
    assert synced_bytes == [3000, 6000, 9000]


@pytest.mark.logs_errors
@pytest.mark.parametrize("failing", ["fdatasync", "fsync"], ids=["while it arrives", "at its end"])
def test_bytes_that_the_disk_has_lost_are_sent_again(
    tus: Tus, context: Context, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The kernel drops them, and tells it once: the next sync of the same file succeeds."""
    real, calls = getattr(os, failing), itertools.count(1)

    def lose(fd: int) -> None:
        if next(calls) == (2 if failing == "fdatasync" else 1):
            os.pwrite(fd, bytes(1000), os.fstat(fd).st_size - 1000)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(os, failing, lose)
    monkeypatch.setattr(background_sync, "SYNC_EVERY_BYTES", 2500)
    path, offset, refused = tus.made(), 0, 0
    while offset < len(VIDEO):
        answer = tus.patch(path, offset, VIDEO[offset : offset + 3000])
        refused += answer.status_code == 503
        background_sync.wait_for_all()
        offset = len(VIDEO) if "X-Job-Id" in answer.headers else tus.offset(path)
    assert refused == 1
    assert file_of(context, path).read_bytes() == VIDEO


@pytest.mark.parametrize("path", ["/files", "/files/"])
def test_options_needs_neither_key_nor_version(path: str, context: Context) -> None:
    answer = TestClient(create_app(context)).simulate_options(path, headers={"Tus-Resumable": "0.1"})
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == str(context.settings.max_upload_size)
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert set(answer.headers["Tus-Extension"].split(",")) == set(protocol.EXTENSIONS)
    assert "Tus-Resumable" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_a_key_is_asked_for_first(method: str, context: Context) -> None:
    path = "/files" if method == "POST" else f"/files/job_{'0' * 32}"
    answer = TestClient(create_app(context)).simulate_request(method, path, headers=TUS)
    assert (answer.status_code, answer.headers["Tus-Resumable"]) == (401, "1.0.0")


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
def test_another_version_is_refused_and_changes_nothing(
    method: str, version: str | None, tus: Tus, client: TestClient
) -> None:
    path = tus.made()
    headers = {**BYTES, "Upload-Offset": "0", "Upload-Length": "5"} | ({"Tus-Resumable": version} if version else {})
    answer = client.simulate_request(method, "/files" if method == "POST" else path, headers=headers)
    assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")
    assert tus.offset(path) == 0


def test_head_tells_what_was_told(tus: Tus) -> None:
    metadata = "filename " + base64.b64encode("тест.mp4".encode()).decode() + ",is_confidential"
    path = tus.made(Upload_Metadata=metadata)
    answer = tus.send("HEAD", path)
    assert answer.headers["Upload-Metadata"] == metadata
    assert answer.headers["Upload-Length"] == str(len(VIDEO))
    assert answer.headers["Upload-Offset"] == "0"
    assert "Upload-Defer-Length" not in answer.headers
    assert "Upload-Metadata" not in tus.send("HEAD", tus.made(Upload_Metadata="")).headers, "tuspy sends an empty one"


@pytest.mark.parametrize("path", [f"/files/job_{'0' * 32}", "/files/x", "/files/..", "/files/job_1"])
def test_an_unknown_upload_is_not_found(path: str, tus: Tus) -> None:
    for method in ("HEAD", "DELETE"):
        answer = tus.send(method, path)
        assert answer.status_code == 404
        assert "Upload-Offset" not in answer.headers
    assert tus.patch(path, 0, b"abc").status_code == 404


def test_a_wrong_offset_changes_nothing(tus: Tus) -> None:
    path = tus.made()
    tus.patch(path, 0, VIDEO[:100])
    for offset in (0, 99, 101, len(VIDEO)):
        assert tus.patch(path, offset, VIDEO[100:200]).status_code == 409
    assert tus.offset(path) == 100


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": "1e3"}, 400),
        ({"Upload-Offset": "١"}, 400),
        ({"Upload-Checksum": "md5 AAAA"}, 400),
        ({"Upload-Checksum": "sha1 AAAA"}, 400),
        ({"Upload-Checksum": digest("sha1", b"other")}, 460),
        ({"Upload-Length": "7"}, 400),
    ],
)
def test_a_malformed_patch_changes_nothing(headers: dict[str, str], status: int, tus: Tus) -> None:
    path = tus.made()
    sent = {**BYTES, "Upload-Offset": "0"} | {name: value.encode().decode("latin-1") for name, value in headers.items()}
    assert tus.send("PATCH", path, sent, VIDEO[:100]).status_code == status
    assert tus.offset(path) == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": "-5"}, 400),
        ({"Upload-Length": str(10**17)}, 413),
        ({"Upload-Length": "9" * 4000}, 400),
        ({"Upload-Defer-Length": "0"}, 400),
        ({"Upload-Defer-Length": "1", "Upload-Length": "5"}, 400),
        ({"Upload-Length": "0"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "filename YQ==,filename YQ=="}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "filename !!"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": ","}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": told(platforms="myspace")}, 422),
        ({"Upload-Length": "5", "Upload-Metadata": told(segment_seconds="7000")}, 422),
        ({"Upload-Length": "5", "Upload-Metadata": told(review="maybe")}, 422),
        ({"Upload-Length": "5", "Upload-Metadata": "title " + base64.b64encode(b"\xff").decode()}, 422),
        ({"Upload-Length": "5", "Upload-Metadata": told(platforms="tiktok")}, 409),
        ({"Upload-Length": "5", "Upload-Concat": "whole"}, 400),
        ({"Upload-Concat": "final;"}, 400),
        ({"Upload-Concat": "final;/files/x"}, 400),
        ({"Upload-Concat": f"final;/files/job_{'0' * 32}"}, 404),
        ({"Upload-Concat": f"final;/files/job_{'0' * 32}", "Upload-Length": "5"}, 400),
    ],
)
def test_a_malformed_creation_leaves_nothing(
    headers: dict[str, str], status: int, tus: Tus, context: Context, left: Callable[[], list[Path]]
) -> None:
    assert tus.send("POST", "/files", headers).status_code == status
    assert left() == []


def test_creation_with_upload_is_done_in_one_request(tus: Tus, context: Context) -> None:
    answer = tus.create(body=VIDEO, Upload_Checksum=digest("sha256", VIDEO))
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(VIDEO)))
    job = job_of(context, answer.headers["Location"])
    assert job is not None
    assert job.id == answer.headers["X-Job-Id"]
    first = tus.create(body=VIDEO[:100])
    assert (first.status_code, first.headers["Upload-Offset"]) == (201, "100")
    assert tus.create(body=VIDEO, Content_Type="text/plain").status_code == 415
    assert tus.create(5, body=VIDEO).status_code == 413


def test_the_length_may_come_later(tus: Tus, context: Context) -> None:
    path = tus.made(None)
    assert tus.send("HEAD", path).headers["Upload-Defer-Length"] == "1"
    assert tus.patch(path, 0, VIDEO[:100]).status_code == 204, "a piece without the length is legal"
    assert tus.patch(path, 100, b"", Upload_Length="99").status_code == 400
    assert tus.patch(path, 100, VIDEO[100:], Upload_Length=str(len(VIDEO))).headers["X-Job-Id"]
    assert tus.send("HEAD", path).headers["Upload-Length"] == str(len(VIDEO))
    late = tus.made(None)
    tus.patch(late, 0, VIDEO)
    assert job_of(context, late) is None
    assert tus.patch(late, len(VIDEO), b"", Upload_Length=str(len(VIDEO))).headers["X-Job-Id"]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_piece_with_a_wrong_checksum_is_dropped(algorithm: str, tus: Tus) -> None:
    path = tus.made()
    assert tus.patch(path, 0, VIDEO[:100], Upload_Checksum=digest(algorithm, VIDEO[:100])).status_code == 204
    answer = tus.patch(path, 100, VIDEO[100:200], Upload_Checksum=digest(algorithm, b"x"))
    assert (answer.status_code, answer.status) == (460, "460 Checksum Mismatch")
    assert answer.json["title"] == "Checksum Mismatch"
    assert tus.offset(path) == 100
    assert tus.patch(path, 100, VIDEO[100:200], Upload_Checksum=digest(algorithm, VIDEO[100:200])).status_code == 204


def test_a_piece_that_a_crash_left_unverified_is_dropped(tus: Tus, context: Context) -> None:
    path = tus.made()
    tus.patch(path, 0, VIDEO[:100])
    with file_of(context, path, INCOMING).open("ab") as file:
        file.write(b"unverified")
    file_of(context, path, ".verified").write_text("100")
    assert tus.offset(path) == 100
    assert tus.patch(path, 100, VIDEO[100:]).headers["X-Job-Id"]
    assert file_of(context, path).read_bytes() == VIDEO


def test_uploads_expire_a_day_after_their_last_byte(tus: Tus, context: Context, clock: Clock) -> None:
    answer = tus.create()
    path, incoming = answer.headers["Location"], file_of(context, answer.headers["Location"], INCOMING)
    written = context.now() - timedelta(hours=23)
    for file in incoming.parent.iterdir():
        os.utime(file, (written.timestamp(),) * 2)
    expires = parsedate_to_datetime(tus.patch(path, 0, b"").headers["Upload-Expires"])
    assert expires == (written + resumable.LIFETIME).replace(microsecond=0)
    assert resumable.delete_expired(context) == 0
    clock.move(seconds=3601)
    assert tus.patch(path, 0, VIDEO[:9]).status_code == 410
    assert resumable.delete_expired(context) == 1
    assert not incoming.exists()
    for method in ("HEAD", "DELETE"):
        assert tus.send(method, path).status_code == 410
    clock.move(seconds=(resumable.LIFETIME + resumable.REMEMBERED).total_seconds())
    resumable.delete_expired(context)
    assert not incoming.parent.exists()
    assert tus.send("HEAD", path).status_code == 404


def test_an_upload_that_is_being_written_does_not_expire(tus: Tus, context: Context, clock: Clock) -> None:
    path = tus.made()
    incoming = file_of(context, path, INCOMING)
    upload = protocol.upload_id(path)
    assert upload is not None

    reception = requests.append(context, DEFAULT_OWNER, upload, {**TUS, **BYTES, "Upload-Offset": "0"}.get, 5)
    os.utime(incoming, (0, 0))
    assert resumable.delete_expired(context) == 0
    reception.discard()
    assert resumable.delete_expired(context) == 1


def test_a_deleted_upload_is_not_found(tus: Tus, left: Callable[[], list[Path]]) -> None:
    path = tus.made()
    tus.patch(path, 0, VIDEO[:100])
    assert tus.send("DELETE", path).status_code == 204
    assert [tus.send(method, path).status_code for method in ("HEAD", "DELETE")] == [404, 404]
    assert left() == []


def test_what_belongs_to_a_job_is_deleted_with_the_job_only(tus: Tus, context: Context) -> None:
    path = tus.made()
    tus.patch(path, 0, VIDEO)
    answer = tus.send("DELETE", path)
    assert (answer.status_code, answer.json["job_id"]) == (403, path.rpartition("/")[2])
    assert file_of(context, path).exists()


def test_partial_uploads_are_joined(tus: Tus, context: Context) -> None:
    pieces = [VIDEO[:3000], VIDEO[3000:3050], VIDEO[3050:]]
    partial = []
    for piece in pieces:
        path = tus.made(len(piece), Upload_Concat="partial")
        answer = tus.patch(path, 0, piece)
        assert (answer.status_code, "X-Job-Id" in answer.headers) == (204, False)
        assert tus.send("HEAD", path).headers["Upload-Concat"] == "partial"
        partial.append(path)
    addresses = " ".join([partial[0], f"https://example.com{partial[1]}", partial[2]])
    answer = tus.send(
        "POST",
        "/files",
        {"Upload-Concat": f"final;{addresses}", "Upload-Metadata": told(title="Joined", review="true")},
    )
    assert answer.status_code == 201, answer.text
    path = answer.headers["Location"]
    job = job_of(context, path)
    assert job is not None
    assert (job.title, job.size_bytes, job.review_reasons) == ("Joined", len(VIDEO), ["requested"])
    assert file_of(context, path).read_bytes() == VIDEO
    head = tus.send("HEAD", path).headers
    assert (head["Upload-Concat"], head["Upload-Length"]) == ("final;" + " ".join(partial), str(len(VIDEO)))
    assert tus.patch(path, len(VIDEO), b"").status_code == 403
    assert tus.send("HEAD", partial[0]).status_code == 404


def test_incomplete_or_whole_uploads_are_not_joined(tus: Tus) -> None:
    whole, incomplete = tus.made(), tus.made(100, Upload_Concat="partial")
    for path in (whole, incomplete):
        assert tus.send("POST", "/files", {"Upload-Concat": f"final;{path}"}).status_code == 400
        assert tus.offset(path) == 0


def test_clients_that_can_only_post_override_the_method(tus: Tus, context: Context) -> None:
    path = tus.made()
    override = {"X-HTTP-Method-Override": "PATCH", **BYTES, "Upload-Offset": "0"}
    assert tus.send("POST", path, override, VIDEO[:100]).status_code == 204
    assert tus.send("POST", path, {"X-HTTP-Method-Override": "HEAD"}).headers["Upload-Offset"] == "100"
    assert tus.send("POST", path, {"X-HTTP-Method-Override": "delete"}).status_code == 204
    assert tus.send("POST", path).status_code == 405
    assert tus.send("HEAD", path).status_code == 404


def test_more_bytes_than_the_length_are_refused(tus: Tus) -> None:
    path = tus.made(200)
    assert tus.patch(path, 0, VIDEO[:201]).status_code == 413
    assert tus.offset(path) == 0


def test_more_bytes_than_the_limit_are_refused(context: Context) -> None:
    tus = Tus(TestClient(create_app(with_settings(context, max_upload_size=1000)), headers=AUTH))
    assert tus.create(1001).status_code == 413
    path = tus.made(None)
    assert tus.patch(path, 0, VIDEO[:100], Upload_Length="1001").status_code == 413
    assert tus.patch(path, 0, VIDEO[:1001]).status_code == 413


def test_what_is_no_video_is_refused_at_its_first_bytes(tus: Tus, left: Callable[[], list[Path]]) -> None:
    path = tus.made(5000)
    assert tus.patch(path, 0, b"%PDF-1.7" + bytes(100)).status_code == 415
    assert tus.offset(path) < 5000


def test_the_answer_to_the_last_bytes_may_get_lost(tus: Tus, context: Context) -> None:
    path = tus.made()
    first = tus.patch(path, 0, VIDEO)
    head = tus.send("HEAD", path)
    assert (head.headers["X-Job-Id"], head.headers["Upload-Offset"]) == (first.headers["X-Job-Id"], str(len(VIDEO)))
    again = tus.patch(path, len(VIDEO), b"")
    assert (again.status_code, again.headers["X-Job-Id"]) == (204, first.headers["X-Job-Id"])
    assert tus.patch(path, 0, VIDEO).status_code == 409
    assert tus.patch(path, len(VIDEO), b"more").status_code == 413
    with context.store.reading() as connection:
        assert len(jobs.page(connection, DEFAULT_OWNER, limit=10)) == 1


def test_an_upload_whose_job_could_not_be_made_waits_for_it(tus: Tus, context: Context) -> None:
    connect(context, "tiktok")
    path = tus.made(Upload_Metadata=told(platforms="tiktok"))
    with context.store.writing(scope="everything") as connection:
        connection.execute(accounts.delete())
    assert tus.patch(path, 0, VIDEO).status_code == 409
    assert tus.send("HEAD", path).status_code == 409
    connect(context, "tiktok")
    head = tus.send("HEAD", path)
    assert head.headers["X-Job-Id"]
    assert job_of(context, path) is not None


def test_the_newest_request_wins_and_loses_no_byte(context: Context, tus: Tus) -> None:
    path = tus.made()
    upload = protocol.upload_id(path)
    assert upload is not None

    reception = requests.append(context, DEFAULT_OWNER, upload, {**TUS, **BYTES, "Upload-Offset": "0"}.get, len(VIDEO))
    reception.feed(VIDEO[:300])
    assert tus.offset(path) == 300
    with pytest.raises(Problem) as refused:
        reception.feed(VIDEO[300:400])
    assert refused.value.error_code == "upload_superseded"
    reception.discard()
    assert tus.patch(path, 300, VIDEO[300:]).headers["X-Job-Id"]
    assert file_of(context, path).read_bytes() == VIDEO


def test_creating_has_the_limit_of_uploads_and_continuing_another(context: Context) -> None:
    tus = Tus(TestClient(create_app(with_settings(context, upload_rate_limit=2)), headers=AUTH))
    path = tus.made()
    tus.made()
    assert tus.create().status_code == 429
    for start in range(0, 2000, 20):
        assert tus.patch(path, start, VIDEO[start : start + 20]).status_code == 204


def test_an_upload_reserves_its_space_from_its_creation_to_its_end(tus: Tus, context: Context) -> None:
    path = tus.made()
    reserved = context.reservations.total_bytes
    assert reserved >= 2 * len(VIDEO), "the video and its parts"
    tus.patch(path, 0, VIDEO[:5000])
    assert context.reservations.total_bytes == reserved - 5000
    tus.patch(path, 5000, VIDEO[5000:6000], Upload_Checksum=digest("sha1", b"other"))
    assert context.reservations.total_bytes == reserved - 5000
    tus.patch(path, 5000, VIDEO[5000:])
    assert context.reservations.total_bytes == 0
    tus.send("DELETE", tus.made())
    assert context.reservations.total_bytes == 0


def test_a_new_process_reserves_the_rest_of_incomplete_uploads(tus: Tus, context: Context) -> None:
    path = tus.made()
    tus.patch(path, 0, VIDEO[:5000])
    reserved = context.reservations.total_bytes
    later = replace(context, reservations=Reservations(), receptions=Receptions())
    requests.restore_reservations(later)
    assert later.reservations.total_bytes == reserved > 0


def test_a_disk_without_room_refuses_a_new_upload(context: Context, left: Callable[[], list[Path]]) -> None:
    full = replace(context, disk=Disk(context.settings.data_dir, measure=lambda path: statvfs(path, free=0)))
    answer = Tus(TestClient(create_app(full), headers=AUTH)).create()
    assert answer.status_code in {413, 503}
    assert left() == []


def statvfs(path: str, *, free: int) -> os.statvfs_result:
    found = list(os.statvfs(path))
    found[3] = found[4] = free  # blocks
    return os.statvfs_result(found)


def test_the_options_may_come_with_the_length(tus: Tus, context: Context) -> None:
    path = tus.made(None, Upload_Metadata=told(filename="talk.mp4"))
    tus.patch(path, 0, VIDEO)
    wrong = tus.patch(path, len(VIDEO), b"", Upload_Length=str(len(VIDEO)), Upload_Metadata=told(platforms="myspace"))
    assert (wrong.status_code, job_of(context, path)) == (422, None)
    options = told(filename="talk.mp4", title="Later")
    assert tus.patch(path, len(VIDEO), b"", Upload_Length=str(len(VIDEO)), Upload_Metadata=options).headers["X-Job-Id"]
    job = job_of(context, path)
    assert job is not None
    assert (job.title, job.original_name) == ("Later", "talk.mp4")
