"""Resumable uploads go on at another machine, with the same database and the same storage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from falcon.testing import TestClient

from actors.recovery.lost_found import SOURCE_DELETED_MARK
from api.app import create_app
from api.context import Context
from api.tus import resumption
from api.tus.receiving import Receptions
from api.uploads import background_sync
from api.uploads.reservations import Reservations
from files import keys
from files.local import LocalFiles
from files.s3 import S3Files, open_store
from files.scratch import Scratch
from files.transfer import CHUNK_BYTES, chunk_key, chunks_folder, record_key
from store import jobs
from store.owners import DEFAULT_OWNER
from tests.api.conftest import AUTH, VIDEO, with_settings
from tests.api.test_tus import Tus, digest, told
from tests.support.object_store import Faults, ObjectStore, proxy
from tests.support.waiting import wait_for

CONTENT = VIDEO + os.urandom(4 * CHUNK_BYTES)
SENT = 3 * CHUNK_BYTES + 5  # before the machine is lost; its last bytes are no whole piece
_NAMES = iter(range(1000))


@dataclass
class Server:
    """The API of one machine."""

    context: Context
    tus: Tus

    def lose(self) -> None:
        shutil.rmtree(self.context.settings.data_dir)

    def send(self, path: str, offset: int, end: int) -> None:
        """Send bytes of the video in pieces, and wait until the whole pieces of the storage are there."""
        for start in range(offset, end, CHUNK_BYTES):
            stop = min(start + CHUNK_BYTES, end)
            assert self.tus.patch(path, start, CONTENT[start:stop]).status_code == 204
            background_sync.wait_for_all()

    def pieces(self, path: str) -> int:
        return len(self.context.files.list_files(chunks_folder(source_of(path))))


def source_of(path: str) -> str:
    return keys.source(path.rpartition("/")[2])


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def start(context: Context, server: ObjectStore, faults: Faults, tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Yield a function that starts a machine with a directory of its own."""
    prefix = f"other-machine/{next(_NAMES)}"

    def start(name: str) -> Server:
        changed = with_settings(
            context, data_dir=tmp_path / name, files_url=f"s3://videos/{prefix}", max_upload_size=10**9
        )
        (tmp_path / name).mkdir(exist_ok=True)
        received, scratch = LocalFiles(tmp_path / name), Scratch(tmp_path / name / "scratch", 10**9)
        files = S3Files(open_store(store.options(prefix, timeout_s=5.0)), scratch, received)
        own = replace(changed, files=files, receptions=Receptions(), reservations=Reservations())
        return Server(own, Tus(TestClient(create_app(own), headers=AUTH)))

    with proxy(server, faults) as store:
        yield start


@pytest.fixture
def one(start: Callable[[str], Server]) -> Server:
    return start("one")


@pytest.fixture
def two(start: Callable[[str], Server]) -> Server:
    return start("two")


@pytest.fixture
def begun(one: Server) -> str:
    """Return the path of an upload of which three pieces are in the storage, and some bytes on the first machine."""
    path = one.tus.made(len(CONTENT), Upload_Metadata=told(filename="talk.mp4", title="A talk"))
    one.send(path, 0, SENT)
    one.send(path, SENT, SENT + CHUNK_BYTES)  # each sync is read by the next one
    wait_for(lambda: one.pieces(path) == 3, "three pieces in the storage")
    return path


def stored(server: Server, path: str) -> bytes:
    with server.context.files.borrow(source_of(path)) as copy:
        return copy.read_bytes()


def job_of(server: Server, path: str) -> jobs.Job | None:
    with server.context.store.reading() as connection:
        return jobs.get(connection, path.rpartition("/")[2])


def test_an_upload_goes_on_after_the_last_whole_piece(one: Server, two: Server, begun: str, faults: Faults) -> None:
    one.lose()
    assert two.tus.offset(begun) == 3 * CHUNK_BYTES
    faults.requests.clear()
    two.send(begun, 3 * CHUNK_BYTES, len(CONTENT))
    job = job_of(two, begun)
    assert job is not None
    assert (job.title, job.original_name, job.size_bytes) == ("A talk", "talk.mp4", len(CONTENT))
    assert stored(two, begun) == CONTENT
    sent = [path.rpartition("/")[2] for method, path, _ in faults.requests if method == "PUT"]
    assert "00000000" not in sent, "what the storage has is not sent again"


def test_a_client_that_does_not_ask_first_is_told_to(one: Server, two: Server, begun: str) -> None:
    one.lose()
    answer = two.tus.patch(begun, SENT, CONTENT[SENT:])
    assert (answer.status_code, answer.json["code"]) == (409, "other_offset")
    assert two.tus.offset(begun) == 3 * CHUNK_BYTES


def test_an_upload_that_nobody_knows_is_404(two: Server) -> None:
    unknown = "/files/job_" + "0" * 32
    assert two.tus.send("HEAD", unknown).status_code == 404
    assert two.tus.send("DELETE", unknown).status_code == 404


def test_an_accepted_upload_is_known_to_all_machines(one: Server, two: Server, begun: str) -> None:
    one.send(begun, SENT + CHUNK_BYTES, len(CONTENT))
    one.lose()
    answer = two.tus.send("HEAD", begun)
    assert (answer.headers["X-Job-Id"], answer.headers["Upload-Offset"]) == (
        begun.rpartition("/")[2], str(len(CONTENT)),
    )  # fmt: skip
    names = {path.name for path in (two.context.settings.uploads_dir / begun.rpartition("/")[2]).iterdir()}
    assert names == {".tus.json", SOURCE_DELETED_MARK}


def test_the_first_machine_learns_that_another_one_has_completed_the_upload(
    one: Server, two: Server, begun: str
) -> None:
    two.send(begun, two.tus.offset(begun), len(CONTENT))
    answer = one.tus.send("HEAD", begun)
    assert (answer.headers["X-Job-Id"], answer.headers["Upload-Offset"]) == (
        begun.rpartition("/")[2], str(len(CONTENT)),
    )  # fmt: skip
    assert stored(one, begun) == CONTENT


def test_a_machine_that_is_lost_before_its_job_is_committed_loses_nothing(
    one: Server, two: Server, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All bytes are in the storage; the client sends none again."""
    monkeypatch.setattr("actors.flow.job_commands.accept", _die)
    with pytest.raises(KeyboardInterrupt):
        one.send(begun, SENT + CHUNK_BYTES, len(CONTENT))
    monkeypatch.undo()
    one.lose()
    answer = two.tus.send("HEAD", begun)
    assert answer.headers["Upload-Offset"] == str(len(CONTENT))
    assert job_of(two, begun) is not None
    assert stored(two, begun) == CONTENT


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_bytes_whose_checksum_was_not_verified_do_not_count(one: Server, two: Server) -> None:
    """The first machine is lost in the middle of a body; what it has of it may be wrong."""
    path = one.tus.made(len(CONTENT))
    one.send(path, 0, CHUNK_BYTES)
    context, wrong = one.context, bytes(2 * CHUNK_BYTES)
    headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream",
               "Upload-Offset": str(CHUNK_BYTES), "Upload-Checksum": digest("sha1", CONTENT)}  # fmt: skip
    from api.tus import requests  # noqa: PLC0415 (beside its only use)

    reception = requests.append(context, DEFAULT_OWNER, path.rpartition("/")[2], headers.get, len(wrong))
    for start in range(0, len(wrong), CHUNK_BYTES):
        reception.feed(wrong[start : start + CHUNK_BYTES])
        background_sync.wait_for_all()
    reception.feed(b"")
    wait_for(lambda: one.pieces(path) >= 1, "the verified piece")
    one.lose()
    assert two.tus.offset(path) == CHUNK_BYTES
    two.send(path, CHUNK_BYTES, len(CONTENT))
    assert stored(two, path) == CONTENT


def test_words_that_were_told_later_are_known_to_the_other_machine(one: Server, two: Server, begun: str) -> None:
    changed = one.tus.patch(begun, SENT + CHUNK_BYTES, b"", Upload_Metadata=told(title="Another title"))
    assert changed.status_code == 204
    wait_for(lambda: b"QW5vdGhlciB0aXRsZQ==" in _record(one, begun), "the new record")
    one.lose()
    two.send(begun, two.tus.offset(begun), len(CONTENT))
    job = job_of(two, begun)
    assert job is not None
    assert job.title == "Another title"


def _record(server: Server, path: str) -> bytes:
    found = server.context.files.unfinished(source_of(path))
    return b"" if found is None else found.record


def test_what_takes_too_long_to_copy_is_sent_again(
    one: Server, two: Server, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "COPY_S", 0.0)
    one.lose()
    assert two.tus.offset(begun) == CHUNK_BYTES
    two.send(begun, CHUNK_BYTES, len(CONTENT))
    assert stored(two, begun) == CONTENT


@pytest.mark.logs_errors
def test_a_storage_that_does_not_answer_is_503_and_leaves_nothing(
    one: Server, two: Server, begun: str, faults: Faults
) -> None:
    one.lose()
    faults.refuse = lambda method, path: method == "GET" and path.endswith("/00000001")
    answer = two.tus.send("HEAD", begun)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert not (two.context.settings.uploads_dir / begun.rpartition("/")[2]).exists()
    assert two.context.reservations.total_bytes == 0
    faults.refuse = lambda *_: False
    assert two.tus.offset(begun) == 3 * CHUNK_BYTES


def test_only_one_request_at_a_time_copies_an_upload(one: Server, two: Server, begun: str, faults: Faults) -> None:
    one.lose()
    answers: list[int] = []

    def ask_again(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/00000001") and not answers:
            answers.append(two.tus.send("HEAD", begun).status_code)

    faults.before = ask_again
    assert two.tus.offset(begun) == 3 * CHUNK_BYTES
    assert answers == [423]


def test_an_upload_is_deleted_by_another_machine(one: Server, two: Server, begun: str) -> None:
    one.lose()
    assert two.tus.send("DELETE", begun).status_code == 204
    wait_for(lambda: not two.context.files.list_files(keys.folder(source_of(begun))), "the pieces to be deleted")
    assert two.tus.send("HEAD", begun).status_code == 404


def test_pieces_that_were_deleted_meanwhile_are_sent_again(one: Server, begun: str, faults: Faults) -> None:
    """Another machine has deleted the upload, or swept it; a video that exists is whole."""
    one.context.files.delete_folder(chunks_folder(source_of(begun)))
    one.send(begun, SENT + CHUNK_BYTES, len(CONTENT))
    assert stored(one, begun) == CONTENT
    put = [path for method, path, _ in faults.requests if method == "PUT"]
    assert sum(path.endswith(chunk_key(source_of(begun), 0)) for path in put) == 2


def test_a_short_upload_has_no_record(one: Server) -> None:
    """It would cost a request more, and there is nothing to go on with."""
    path = one.tus.made(len(VIDEO))
    assert one.tus.patch(path, 0, VIDEO).status_code == 204
    found = {file.key for file in one.context.files.list_files(keys.folder(source_of(path)))}
    assert record_key(source_of(path)) not in found
