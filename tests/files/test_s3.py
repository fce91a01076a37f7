"""Files in a bucket: ranges, uploads in pieces, faults of the storage, and two machines at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from files import keys, read_ahead, s3
from files.errors import FilesError, Gone, Refused, TryLater
from files.local import LocalFiles
from files.s3 import S3Files, open_store
from files.scratch import BLOCK_BYTES, Scratch
from files.storage import PartialCopy
from files.transfer import CHUNK_BYTES, chunk_key, chunks_folder
from tests.files.conftest import SCRATCH_BYTES, machine_files
from tests.support.object_store import Faults, ObjectStore, proxy

SOURCE = keys.source("job_1")
PART = "jobs/job_1/part-001.a.mp4"
CONTENT = os.urandom(2 * CHUNK_BYTES + 1000)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def shaky(server: ObjectStore, prefix: str, tmp_path: Path, faults: Faults) -> Iterator[S3Files]:
    """Yield the files of a machine whose requests pass the proxy."""
    with proxy(server, faults) as store:
        yield machine_files(store.options(prefix, timeout_s=60.0), tmp_path / "shaky")


def _put(files: S3Files, key: str, content: bytes) -> None:
    with files.outputs([key]) as (path,):
        path.write_bytes(content)


def _received(tmp_path: Path, content: bytes = CONTENT) -> Path:
    path = tmp_path / "received"
    path.write_bytes(content)
    return path


def _upload(files: S3Files, tmp_path: Path) -> None:
    files.transfer(SOURCE, path := _received(tmp_path)).finish(path, len(CONTENT))


def test_an_upload_exists_when_its_last_piece_is_stored(remote: S3Files, tmp_path: Path) -> None:
    path = _received(tmp_path)
    transfer = remote.transfer(SOURCE, path)
    transfer.advance(CHUNK_BYTES + 1)
    assert remote.stat(SOURCE) is None
    transfer.finish(path, len(CONTENT))
    found = remote.stat(SOURCE)
    assert found is not None
    assert found.size_bytes == len(CONTENT)
    with remote.borrow(SOURCE) as copy:
        assert copy.read_bytes() == CONTENT
    assert [file.size_bytes for file in remote.list_files(chunks_folder(SOURCE))] == [CHUNK_BYTES, CHUNK_BYTES, 1000]


def test_only_the_blocks_of_a_range_are_fetched(shaky: S3Files, faults: Faults, tmp_path: Path) -> None:
    _upload(shaky, tmp_path)
    faults.requests.clear()
    found = shaky.stat(SOURCE)
    assert found is not None
    for _ in range(2):  # the second time nothing
        with shaky.open_range(found, CHUNK_BYTES + 5, CHUNK_BYTES + 9) as piece:
            assert piece.read() == CONTENT[CHUNK_BYTES + 5 : CHUNK_BYTES + 10]
            assert os.fstat(piece.fileno()).st_blocks * 512 == BLOCK_BYTES
    fetched = [path for method, path, _ in faults.requests if method == "GET" and "/chunks/" in path]
    assert [path.rpartition("/")[2] for path in fetched] == ["00000001"]


def _partial(borrowed: Path | PartialCopy) -> PartialCopy:
    assert isinstance(borrowed, PartialCopy)
    return borrowed


def _chunks(faults: Faults) -> list[str]:
    return [path.rpartition("/")[2] for method, path, _ in faults.requests if method == "GET" and "/chunks/" in path]


def test_a_partial_copy_gets_the_blocks_that_are_asked_for(shaky: S3Files, faults: Faults, tmp_path: Path) -> None:
    _upload(shaky, tmp_path)
    with shaky.borrow_partly(SOURCE) as borrowed:
        copy = _partial(borrowed)
        assert (_chunks(faults), copy.marks.read_bytes(), copy.data.stat().st_size) == ([], b"\0\0\0", len(CONTENT))
        assert not copy.name.exists()
        for _ in range(2):
            copy.fetch(2)
        assert (_chunks(faults), copy.marks.read_bytes()) == (["00000002"], b"\0\0\1")
        assert copy.data.read_bytes()[2 * BLOCK_BYTES :] == CONTENT[2 * BLOCK_BYTES :]
    with shaky.borrow(SOURCE) as path:
        assert path.read_bytes() == CONTENT
    assert sorted(_chunks(faults)) == ["00000000", "00000001", "00000002"], "the rest"
    with shaky.borrow_partly(SOURCE) as whole:
        assert isinstance(whole, Path)
        assert whole.read_bytes() == CONTENT


def test_blocks_that_are_read_in_a_row_are_fetched_together(
    shaky: S3Files, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the file there are no more."""
    monkeypatch.setattr(read_ahead, "RUN_BLOCKS", 1)
    _upload(shaky, tmp_path)
    with shaky.borrow_partly(SOURCE) as borrowed:
        copy = _partial(borrowed)
        copy.fetch(0)
        assert copy.marks.read_bytes() == b"\1\0\0"
        copy.fetch(1)
        assert copy.data.read_bytes() == CONTENT
    with shaky.borrow_partly(SOURCE) as whole:
        assert isinstance(whole, Path)
    assert sorted(_chunks(faults)) == ["00000000", "00000001", "00000002"]


def test_an_upload_that_is_on_this_machine_is_borrowed_in_place(remote: S3Files, tmp_path: Path) -> None:
    """The machine that received it fetches nothing: before it is in the storage, and as the copy afterwards."""
    received = tmp_path / "data" / SOURCE
    received.parent.mkdir(parents=True)
    received.write_bytes(CONTENT)
    with remote.borrow_partly(SOURCE) as path:
        assert path == received
    remote.transfer(SOURCE, received).finish(received, len(CONTENT))
    assert remote.settle(SOURCE, received)
    with remote.borrow_partly(SOURCE) as copy:
        assert isinstance(copy, Path)
        assert copy.read_bytes() == CONTENT
    with pytest.raises(Gone), remote.borrow_partly(keys.source("job_2")):
        pass


def test_a_block_that_cannot_be_fetched_is_not_marked(shaky: S3Files, faults: Faults, tmp_path: Path) -> None:
    _upload(shaky, tmp_path)
    with shaky.borrow_partly(SOURCE) as borrowed:
        copy = _partial(borrowed)
        faults.cut = lambda method, path: method == "GET" and "/chunks/" in path
        with pytest.raises(TryLater):
            copy.fetch(0)
        assert copy.marks.read_bytes() == b"\0\0\0"
        faults.cut = lambda *_: False
        copy.fetch(0)
        assert copy.data.read_bytes()[:BLOCK_BYTES] == CONTENT[:BLOCK_BYTES]
        shaky.delete(SOURCE)
        with pytest.raises(Gone):
            copy.fetch(1)


def test_a_block_that_is_asked_for_after_its_copy_was_evicted_is_in_another_copy(
    remote: S3Files, tmp_path: Path
) -> None:
    """A child was stopped while its parent fetched. A mark without its bytes would be zeros in a video."""
    _upload(remote, tmp_path)
    with remote.borrow_partly(SOURCE) as borrowed:
        copy = _partial(borrowed)
        copy.fetch(1)
    Scratch(tmp_path / "scratch", SCRATCH_BYTES).make_room(SCRATCH_BYTES)
    assert not copy.data.exists()
    copy.fetch(0)
    with remote.borrow_partly(SOURCE) as borrowed:
        again = _partial(borrowed)
        assert again.marks.read_bytes() == b"\1\0\0"
        assert again.data.read_bytes()[:BLOCK_BYTES] == CONTENT[:BLOCK_BYTES]


def test_a_copy_is_not_evicted_while_a_block_arrives(
    server: ObjectStore, prefix: str, tmp_path: Path, faults: Faults
) -> None:
    """Nobody else may use it any more."""
    with proxy(server, faults) as store:
        files = machine_files(store.options(prefix, timeout_s=120.0), tmp_path)
        _upload(files, tmp_path)
        with files.borrow_partly(SOURCE) as borrowed:
            copy = _partial(borrowed)
        asked, released = threading.Event(), threading.Event()

        def wait(_: str, path: str) -> None:
            if "/chunks/" in path:
                asked.set()
                released.wait(100)

        faults.before = wait
        late = threading.Thread(target=copy.fetch, args=(0,))
        late.start()
        try:
            assert asked.wait(100)
            with pytest.raises(TryLater, match="in use"):
                Scratch(tmp_path / "scratch", SCRATCH_BYTES).make_room(SCRATCH_BYTES)
        finally:
            released.set()
            late.join()
        assert copy.marks.read_bytes() == b"\1\0\0"


def test_blocks_are_counted_and_make_room_for_each_other(server: ObjectStore, prefix: str, tmp_path: Path) -> None:
    """An upload that has no room as a whole is rendered in parts; what is fetched never exceeds SCRATCH_SIZE."""
    files = machine_files(server.options(prefix), tmp_path, scratch_bytes=2 * BLOCK_BYTES)
    _upload(files, tmp_path)
    with pytest.raises(TryLater, match="SCRATCH_SIZE"), files.borrow(SOURCE):
        pass
    with files.borrow_partly(SOURCE) as borrowed:
        copy = _partial(borrowed)
        copy.fetch(0)
        with pytest.raises(TryLater, match="SCRATCH_SIZE"):
            copy.fetch(1)  # the marks take some room, too
        copy.fetch(2)
    with files.borrow_partly(SOURCE) as borrowed:
        assert _partial(borrowed).marks.read_bytes() == b"\1\0\1"


def test_a_range_of_a_part_is_one_request_a_block(shaky: S3Files, faults: Faults) -> None:
    _put(shaky, PART, CONTENT)
    found = shaky.stat(PART)
    assert found is not None
    faults.requests.clear()
    with shaky.open_range(found, 10, 19) as part:
        assert part.read() == CONTENT[10:20]
    ranges = [wanted for method, _, wanted in faults.requests if method == "GET"]
    assert ranges == [f"bytes=0-{BLOCK_BYTES - 1}"]


def test_an_upload_whose_process_died_goes_on_with_the_last_whole_piece(
    shaky: S3Files, faults: Faults, tmp_path: Path
) -> None:
    path = _received(tmp_path)
    first = shaky.transfer(SOURCE, path)
    first.advance(CHUNK_BYTES)
    first.abandon  # noqa: B018 (it died: nothing is called)
    shaky.transfer(SOURCE, path).finish(path, CHUNK_BYTES)  # waits for the same executor
    shaky.delete(SOURCE)
    _upload(shaky, tmp_path)
    faults.requests.clear()
    shaky.delete_folder("uploads/job_2/")
    faults.requests.clear()
    shaky.transfer(SOURCE, path).finish(path, len(CONTENT))
    sent = [path for method, path, _ in faults.requests if method == "PUT"]
    assert [path.rpartition("/")[2] for path in sent] == ["source"]


def test_bytes_that_were_cut_off_are_sent_again(remote: S3Files, tmp_path: Path) -> None:
    """A body with a wrong checksum is dropped; its place is taken by other bytes."""
    path = _received(tmp_path, bytes(2 * CHUNK_BYTES))
    transfer = remote.transfer(SOURCE, path)
    transfer.advance(2 * CHUNK_BYTES)
    transfer.cut_off(CHUNK_BYTES + 5)
    with path.open("r+b") as file:  # as the receiver writes: the piece before may be on its way
        file.seek(CHUNK_BYTES)
        file.write(CONTENT[:CHUNK_BYTES])
    transfer.advance(2 * CHUNK_BYTES)
    transfer.finish(path, 2 * CHUNK_BYTES)
    with remote.borrow(SOURCE) as copy:
        assert copy.read_bytes() == path.read_bytes()


def test_a_piece_that_was_read_short_does_not_count_as_stored(remote: S3Files, tmp_path: Path) -> None:
    """The received file lacks bytes while its pieces are sent, and has all of them at the end."""
    path = _received(tmp_path, CONTENT[:1000])
    transfer = remote.transfer(SOURCE, path)
    transfer.advance(CHUNK_BYTES)
    with pytest.raises(TryLater):
        transfer.finish(path, CHUNK_BYTES)
    assert remote.stat(SOURCE) is None
    path.write_bytes(CONTENT[:CHUNK_BYTES])
    transfer.finish(path, CHUNK_BYTES)
    with remote.borrow(SOURCE) as copy:
        assert copy.read_bytes() == CONTENT[:CHUNK_BYTES]


def test_an_abandoned_upload_leaves_no_piece(remote: S3Files, tmp_path: Path) -> None:
    path = _received(tmp_path)
    transfer = remote.transfer(SOURCE, path)
    transfer.advance(len(CONTENT))
    transfer.abandon()
    other = remote.transfer(keys.source("job_2"), path)  # of the same executor, which works in order
    other.finish(path, 10)
    other.finish(path, 10)
    assert {file.key.split("/")[1] for file in remote.list_files(keys.UPLOADS)} == {"job_2"}


def test_a_second_completion_is_the_same_and_another_one_is_refused(remote: S3Files, tmp_path: Path) -> None:
    _upload(remote, tmp_path)
    _upload(remote, tmp_path)
    path = _received(tmp_path, b"another")
    with pytest.raises(Refused):
        remote.transfer(SOURCE, path).finish(path, 7)


def test_a_received_file_becomes_the_copy(shaky: S3Files, faults: Faults, tmp_path: Path) -> None:
    _upload(shaky, tmp_path)
    assert shaky.settle(SOURCE, tmp_path / "received")
    assert not (tmp_path / "received").exists()
    faults.requests.clear()
    with shaky.borrow(SOURCE) as copy:
        assert copy.read_bytes() == CONTENT
    assert [path for _, path, _ in faults.requests if "/chunks/" in path] == []


def test_a_received_file_that_was_not_stored_stays(remote: S3Files, tmp_path: Path) -> None:
    path = _received(tmp_path)
    assert not remote.settle(SOURCE, path)
    assert path.exists()


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_an_answer_503_is_try_later_and_the_next_call_succeeds(shaky: S3Files, faults: Faults, method: str) -> None:
    _put(shaky, PART, b"video")
    faults.refuse = lambda asked, _: asked == method
    with pytest.raises(TryLater):
        _put(shaky, PART, b"again") if method == "PUT" else _read(shaky)
    faults.refuse = lambda *_: False
    assert _read(shaky) == b"video"


def _read(files: S3Files, key: str = PART) -> bytes:
    with files.borrow(key) as path:
        return path.read_bytes()


def test_a_connection_that_is_cut_off_leaves_no_half_block(shaky: S3Files, faults: Faults) -> None:
    _put(shaky, PART, CONTENT)
    faults.cut = lambda method, _: method == "GET"
    with pytest.raises(TryLater):
        _read(shaky)
    faults.cut = lambda *_: False
    assert _read(shaky) == CONTENT


def test_a_storage_that_does_not_answer_in_time_is_try_later(
    server: ObjectStore, prefix: str, tmp_path: Path, faults: Faults
) -> None:
    released = threading.Event()
    with proxy(server, faults) as store:
        files = machine_files(store.options(prefix, timeout_s=0.5), tmp_path)
        faults.before = lambda *_: released.wait(30)  # type: ignore[assignment]  # its answer is not used
        with pytest.raises(TryLater):
            files.stat(PART)
        released.set()


def test_an_upload_goes_on_after_the_storage_has_failed(shaky: S3Files, faults: Faults, tmp_path: Path) -> None:
    path = _received(tmp_path)
    transfer = shaky.transfer(SOURCE, path)
    faults.refuse = lambda method, _: method == "PUT"
    transfer.advance(len(CONTENT))
    with pytest.raises(TryLater):
        transfer.finish(path, len(CONTENT))
    assert shaky.stat(SOURCE) is None
    faults.refuse = lambda *_: False
    transfer.finish(path, len(CONTENT))
    assert _read(shaky, SOURCE) == CONTENT


def test_wrong_keys_are_refused_without_the_secret_in_the_error(server: ObjectStore, tmp_path: Path) -> None:
    files = machine_files(server.options(secret="another-secret-key"), tmp_path)
    with pytest.raises(Refused) as refused:
        files.stat(PART)
    assert "secret" not in str(refused.value).lower()
    assert "\n" not in str(refused.value)


def test_a_file_that_is_deleted_meanwhile_is_gone(remote: S3Files) -> None:
    _put(remote, PART, b"video")
    found = remote.stat(PART)
    assert found is not None
    remote.delete(PART)
    with pytest.raises(Gone), remote.borrow(PART):
        pass
    with pytest.raises(Gone):
        remote.open_range(found, 0, 1)


def test_two_machines_that_render_one_part_keep_files_of_their_own(
    server: ObjectStore, prefix: str, tmp_path: Path
) -> None:
    one, two = (machine_files(server.options(prefix), tmp_path / name) for name in ("one", "two"))
    first, second = (keys.of_attempt("jobs/job_1/part-001.mp4", token) for token in ("aa", "bb"))
    with one.outputs([first]) as (slow,):
        slow.write_bytes(b"one")
        with two.outputs([second]) as (fast,):
            fast.write_bytes(b"two")
    assert (_read(one, second), _read(two, first)) == (b"two", b"one")


def test_both_machines_read_the_new_version_of_a_file(server: ObjectStore, prefix: str, tmp_path: Path) -> None:
    one, two = (machine_files(server.options(prefix), tmp_path / name) for name in ("one", "two"))
    _put(one, PART, b"before")
    assert _read(two) == b"before"
    _put(one, PART, b"after!")
    assert _read(two) == b"after!"


def test_what_is_in_use_is_not_evicted_and_all_else_is(server: ObjectStore, prefix: str, tmp_path: Path) -> None:
    files = machine_files(server.options(prefix), tmp_path, scratch_bytes=3 * BLOCK_BYTES)
    names = [f"jobs/job_1/part-{number:03}.a.mp4" for number in range(3)]
    for name in names:
        _put(files, name, CONTENT[:BLOCK_BYTES])
    with files.borrow(names[0]) as first, files.borrow(names[1]):
        with pytest.raises(TryLater, match="SCRATCH_SIZE"), files.borrow(names[2]) as _, files.borrow(PART):
            pass
        assert first.read_bytes() == CONTENT[:BLOCK_BYTES]
    assert _read(files, names[2]) == CONTENT[:BLOCK_BYTES]
    assert not first.exists()


def test_a_link_can_be_fetched_without_a_key(remote: S3Files) -> None:
    _put(remote, PART, b"video")
    address = remote.link(PART, timedelta(minutes=5))
    assert address is not None
    assert requests.get(address, headers={"Range": "bytes=1-2"}, timeout=10).content == b"id"


def test_pieces_of_an_upload_without_its_description_are_no_video(remote: S3Files) -> None:
    remote.put_bytes(chunk_key(SOURCE, 0), b"piece")
    assert remote.stat(SOURCE) is None
    assert remote.delete_folder(keys.upload_folder("job_1"))
    assert remote.list_files(keys.UPLOADS) == []


def test_a_storage_that_is_not_there_is_try_later(tmp_path: Path) -> None:
    files = machine_files(ObjectStore("http://127.0.0.1:1").options(timeout_s=1.0), tmp_path)
    with pytest.raises(FilesError) as failed:
        files.stat(PART)
    assert isinstance(failed.value, TryLater)


def test_a_storage_in_order_is_left_as_it_was(remote: S3Files) -> None:
    remote.check()
    assert remote.list_files(s3.CHECKS) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bucket": "another-bucket"}, "NoSuchBucket"),
        ({"access_key_id": "nobody"}, "InvalidAccessKeyId"),
        ({"secret_access_key": "another-secret"}, "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_setting_is_named(server: ObjectStore, tmp_path: Path, changes: dict[str, str], code: str) -> None:
    with pytest.raises(Refused, match=code):
        machine_files(replace(server.options(), **changes), tmp_path).check()  # type: ignore[arg-type]  # all are str


@pytest.mark.parametrize("ask", ["stat", "borrow", "list"])
def test_a_missing_bucket_is_no_missing_file(server: ObjectStore, tmp_path: Path, ask: str) -> None:
    """Otherwise a wrong letter in FILES_URL would fail all parts for good."""
    files = machine_files(replace(server.options(), bucket="another-bucket"), tmp_path)
    with pytest.raises(Refused):
        match ask:
            case "stat":
                files.stat(PART)
            case "borrow":
                _read(files)
            case _:
                files.list_files("jobs/")


def test_the_bucket_is_not_asked_for_with_each_missing_file(shaky: S3Files, faults: Faults) -> None:
    assert [shaky.stat(PART) for _ in range(3)] == [None] * 3
    assert [method for method, _, _ in faults.requests] == ["HEAD", "GET", "HEAD", "HEAD"]


def test_a_check_tells_a_storage_that_ignores_conditions(remote: S3Files, monkeypatch: pytest.MonkeyPatch) -> None:
    put = remote.put_bytes
    monkeypatch.setattr(remote, "put_bytes", lambda key, content, **_: put(key, content))
    with pytest.raises(Refused, match="If-None-Match"):
        remote.check()
    assert remote.list_files(s3.CHECKS) == []


def test_what_took_minutes_to_render_is_stored_after_a_short_outage(
    server: ObjectStore, prefix: str, tmp_path: Path, faults: Faults
) -> None:
    """Rendering again would cost more than waiting."""
    with proxy(server, faults) as store:
        options = store.options(prefix)
        files = S3Files(
            open_store(options),
            Scratch(tmp_path / "scratch", SCRATCH_BYTES),
            LocalFiles(tmp_path / "data"),
            patient=open_store(options, is_patient=True),
        )
        refused = iter(range(5))  # one more than the other client makes
        faults.refuse = lambda method, _: method == "PUT" and next(refused, None) is not None
        _put(files, PART, b"video")
        assert _read(files) == b"video"
