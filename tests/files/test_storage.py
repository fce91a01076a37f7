"""The contract of every storage."""

from __future__ import annotations

import pytest

from files import keys
from files.errors import Gone
from files.storage import Storage

VIDEO, COVER = "jobs/job_1/part-001.a.mp4", "jobs/job_1/part-001.a.cover.jpg"


def _store(storage: Storage, **contents: bytes) -> None:
    """Store files of one part, by the suffixes of their names."""
    names = [f"jobs/job_1/part-001.a.{suffix}" for suffix in contents]
    with storage.outputs(names) as paths:
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_bytes(content)


def test_a_stored_file_is_listed_and_read(storage: Storage) -> None:
    _store(storage, mp4=b"video", jpg=b"picture")
    assert [file.key for file in storage.list_files("jobs/job_1/")] == [
        "jobs/job_1/part-001.a.jpg", VIDEO,
    ]  # fmt: skip
    found = storage.stat(VIDEO)
    assert found is not None
    assert (found.key, found.size_bytes) == (VIDEO, 5)
    with storage.borrow(VIDEO) as path:
        assert path.read_bytes() == b"video"
    with storage.open_range(found, 1, 3) as part:
        assert part.read(2) == b"id"
        assert part.read() == b"e"
        part.seek(1)
        assert part.read(10) == b"ide"


def test_a_beginning_of_a_name_lists_those_files_only(storage: Storage) -> None:
    _store(storage, mp4=b"1")
    with storage.outputs(["jobs/job_1/part-001.b.mp4", "jobs/job_1/other.txt"]) as paths:
        for path in paths:
            path.write_bytes(b"2")
    assert [file.key for file in storage.list_files(keys.prefix(VIDEO))] == [VIDEO]
    assert len(storage.list_files("jobs/job_1/part-")) == 2
    assert storage.list_files("jobs/job_2/") == []


def test_a_missing_file_is_none_and_gone(storage: Storage) -> None:
    assert storage.stat(VIDEO) is None
    _store(storage, mp4=b"video")
    found = storage.stat(VIDEO)
    assert found is not None
    storage.delete(VIDEO)
    storage.delete(VIDEO)  # again: nothing
    with pytest.raises(Gone):
        storage.open_range(found, 0, 1)


def test_the_version_changes_with_the_content(storage: Storage) -> None:
    _store(storage, mp4=b"video")
    before = storage.stat(VIDEO)
    _store(storage, mp4=b"another")
    after = storage.stat(VIDEO)
    assert before is not None
    assert after is not None
    assert before.version != after.version


def test_a_folder_is_deleted_but_for_what_is_kept(storage: Storage) -> None:
    _store(storage, **{"mp4": b"video", "cover.jpg": b"large", "cover.small.jpg": b"small"})
    assert storage.folders(keys.JOBS) == ["job_1"]
    assert storage.delete_folder("jobs/job_1/", keys.is_small_picture)
    assert [file.key for file in storage.list_files("jobs/job_1/")] == [keys.small(COVER)]
    assert not storage.delete_folder("jobs/job_1/", keys.is_small_picture)
    assert storage.delete_folder("jobs/job_1/")
    assert storage.list_files("jobs/job_1/") == []
    assert not storage.delete_folder("jobs/job_1/")


def test_an_output_that_was_not_written_is_left_out(storage: Storage) -> None:
    with storage.outputs([VIDEO, COVER]) as (video, _):
        video.write_bytes(b"video")
    assert [file.key for file in storage.list_files("jobs/job_1/")] == [VIDEO]


def test_nothing_is_stored_after_an_error(storage: Storage) -> None:
    with pytest.raises(RuntimeError), storage.outputs([VIDEO]) as _:
        raise RuntimeError
    assert storage.list_files("jobs/job_1/") == []


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    _store(storage, mp4=b"")
    found = storage.stat(VIDEO)
    assert found is not None
    assert found.size_bytes == 0
    with storage.borrow(VIDEO) as path:
        assert path.read_bytes() == b""


@pytest.mark.parametrize("name", ["part-001.a b.mp4", "part-001.ü+%25&=.mp4"])
def test_signs_that_addresses_encode_are_kept(storage: Storage, name: str) -> None:
    with storage.outputs([f"jobs/job_1/{name}"]) as (path,):
        path.write_bytes(b"video")
    assert [file.key for file in storage.list_files("jobs/job_1/")] == [f"jobs/job_1/{name}"]
    with storage.borrow(f"jobs/job_1/{name}") as path:
        assert path.read_bytes() == b"video"
