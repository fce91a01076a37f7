"""A part is rendered from the blocks of its upload that it needs: a real child, a real storage."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dramatiq.errors import Retry
from sqlalchemy import update

from actors.flow import retrying
from actors.gaze import gaze
from files.local import LocalFiles
from files.s3 import S3Files, open_store
from files.scratch import BLOCK_BYTES, Scratch
from media.process import runner
from store import Store, segments
from store.states import SegmentStatus
from store.tables import job_segments
from tests.actors.queues import change_machine, move_clock
from tests.actors.test_retrying import pending
from tests.media import films
from tests.support.object_store import Faults, ObjectStore, proxy

SOURCE = "uploads/job/source"
SCRATCH_BYTES = 200 * 2**20
Part = dict[str, Any]  # Any: JSON of a plan
_prefixes = itertools.count()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small film of at least five blocks, with its index at the end: a second track, never shown, is large."""
    folder = tmp_path_factory.mktemp("film")
    once, film = folder / "once.mov", folder / "film.mov"
    films.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=90x160:d=2:r=25", "-f", "lavfi", "-i", "sine=d=2",
        "-f", "lavfi", "-i", "color=gray:s=640x360:d=2:r=25,noise=alls=90:allf=t",
        "-map", "0", "-map", "1", "-map", "2",
        "-c:v:0", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac",
        "-c:v:1", "mjpeg", "-q:v:1", "2", "-disposition:v:0", "default", "-disposition:v:1", "0", once,
    )  # fmt: skip
    films.ffmpeg("-stream_loop", "8", "-i", once, "-map", "0", "-c", "copy", film)
    assert film.stat().st_size > 4 * BLOCK_BYTES
    return film


@pytest.fixture(scope="session")
def planned(film: Path) -> Part:
    """Return a part in the middle of the film."""
    options = ["--segment-seconds", "6", "--intensity", "0", "--without-zero", "--without-scenes"]
    spans = runner.run("plan", [str(film), *options], deadline_s=120)["spans"]
    found: Part = spans[len(spans) // 2]
    return found


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def files(
    server: ObjectStore, faults: Faults, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Files]:
    """Yield the files of a machine that has not received the upload; its requests pass a proxy."""
    with proxy(server, faults) as store:
        opened = open_store(store.options(f"partial-uploads/{next(_prefixes)}", timeout_s=60.0))
        files = S3Files(opened, Scratch(tmp_path / "scratch", SCRATCH_BYTES), LocalFiles(tmp_path / "received"))
        files.transfer(SOURCE, film).finish(film, film.stat().st_size)
        change_machine(monkeypatch, files=files)
        yield files


@pytest.fixture
def part(store: Store, planned: Part) -> None:
    """Create the part, and a second one that is the same."""
    pending(store, parts=2)
    values = {"span": planned["span"], "duration": planned["duration_s"], "gaze_intensity": 0.0}
    with store.writing(scope="everything") as connection:
        connection.execute(update(job_segments).values(**values))


def _stored(store: Store, segment_id: str = "job-1") -> segments.Segment:
    with store.reading() as connection:
        found = segments.get(connection, segment_id)
    assert found is not None
    return found


def _is_chunk(method: str, path: str) -> bool:
    return method == "GET" and "/chunks/" in path


def _fetched(faults: Faults) -> list[str]:
    return sorted(path[-8:] for method, path, _ in faults.requests if _is_chunk(method, path))


def _check_part(store: Store, files: S3Files, film: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the part with the second one, which is rendered from the whole file."""
    local = LocalFiles(folder / "local")
    local.path(SOURCE).parent.mkdir(parents=True)
    local.path(SOURCE).symlink_to(film)
    change_machine(monkeypatch, files=local)
    gaze.fn("job-2")
    first, second = _stored(store), _stored(store, "job-2")
    assert (first.status, first.reason, second.status) == (SegmentStatus.READY, None, SegmentStatus.READY)
    with files.borrow(first.file_path) as one, local.borrow(second.file_path) as two:
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.usefixtures("part")
def test_a_part_fetches_a_few_blocks_and_is_that_of_the_whole_file(
    store: Store, files: S3Files, faults: Faults, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.requests.clear()
    gaze.fn("job-1")
    fetched, count = _fetched(faults), -(-film.stat().st_size // BLOCK_BYTES)
    assert fetched == sorted(set(fetched)), "each block once"
    assert 1 < len(fetched) < count
    _check_part(store, files, film, tmp_path, monkeypatch)


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize("block", [1, 2, 3], ids=["first", "second", "third"])
def test_a_storage_that_fails_in_the_middle_of_a_part_is_waited_for(
    store: Store, files: S3Files, faults: Faults, film: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, block: int,
) -> None:  # fmt: skip
    """No attempt is used up, and what was fetched before is not fetched again."""
    asked: list[str] = []

    def refuse(method: str, path: str) -> bool:
        if _is_chunk(method, path) and path not in asked:
            asked.append(path)
        return len(asked) >= block and path == asked[block - 1]

    faults.refuse = refuse
    with pytest.raises(Retry):
        gaze.fn("job-1")
    found = _stored(store)
    assert (found.status, [attempt["outcome"] for attempt in found.attempts or ()]) == (
        SegmentStatus.PENDING, ["storage_unavailable"],
    )  # fmt: skip
    assert files.list_files("jobs/") == []
    faults.refuse = lambda *_: False
    faults.requests.clear()
    move_clock(monkeypatch, retrying.DISK_CHECK_INTERVAL)
    gaze.fn("job-1")
    assert {path[-8:] for path in asked[: block - 1]}.isdisjoint(_fetched(faults))
    _check_part(store, files, film, tmp_path, monkeypatch)


@pytest.mark.logs_errors
@pytest.mark.usefixtures("part")
def test_an_upload_that_is_deleted_in_the_middle_of_a_part_is_missing(
    store: Store, files: S3Files, faults: Faults
) -> None:
    asked: list[str] = []

    def delete(method: str, path: str) -> None:
        if _is_chunk(method, path):
            asked.append(path)
            if len(asked) == 2:
                files.delete(SOURCE)

    faults.before = delete
    gaze.fn("job-1")
    assert _stored(store).status is SegmentStatus.FAILED
    assert "uploaded file is missing" in str(_stored(store).reason)
