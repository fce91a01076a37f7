"""Uploads whose files go to an S3-compatible storage: accepted when it has all of them, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from falcon.testing import TestClient

from actors.recovery.lost_found import SOURCE, SOURCE_DELETED_MARK
from api.app import create_app
from api.context import Context
from api.resources import stored_files
from files import keys
from files.local import LocalFiles
from files.s3 import S3Files, open_store
from files.scratch import Scratch
from files.transfer import CHUNK_BYTES
from store import jobs, segments
from store.states import SegmentStatus
from tests.api.conftest import AUTH, VIDEO, serving, with_settings
from tests.api.test_tus import Tus
from tests.api.test_uploads import upload
from tests.store.rows import segment
from tests.support.clock import Clock
from tests.support.object_store import Faults, ObjectStore, proxy
from tests.support.waiting import wait_for

LONG = VIDEO + bytes(2 * CHUNK_BYTES)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def remote(
    context: Context, server: ObjectStore, faults: Faults, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Context]:
    """Yield a context whose files are in a bucket, behind the proxy."""
    changed = with_settings(context, files_url="s3://videos/api", max_upload_size=10**9)
    with proxy(server, faults) as store:
        options = store.options(f"api/{request.node.name}", timeout_s=5.0)
        received = LocalFiles(changed.settings.files_dir.resolve())
        yield replace(changed, files=S3Files(open_store(options), Scratch(tmp_path, 10**9), received))


@pytest.fixture
def root(remote: Context) -> Iterator[str]:
    with serving(remote) as address:
        yield address


def _job_id(answer: requests.Response) -> str:
    return str(answer.json()["job_id"])


def _content(context: Context, key: str) -> bytes:
    with context.files.borrow(key) as path:
        return path.read_bytes()


def test_an_upload_is_in_the_storage_when_it_is_accepted(remote: Context, root: str) -> None:
    answer = upload(root, file=LONG)
    assert answer.status_code == 202
    assert _content(remote, keys.source(_job_id(answer))) == LONG
    received = {path.name for path in (remote.settings.uploads_dir / _job_id(answer)).iterdir()}
    assert SOURCE not in received
    assert SOURCE_DELETED_MARK in received


@pytest.mark.logs_errors
def test_an_upload_that_the_storage_does_not_take_is_refused_and_leaves_nothing(
    remote: Context, root: str, faults: Faults
) -> None:
    faults.refuse = lambda method, path: method == "PUT" and path.endswith("/source")
    answer = upload(root, file=LONG)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    wait_for(lambda: not remote.files.list_files(keys.UPLOADS), "the pieces to be deleted")
    with remote.store.reading() as connection:
        assert jobs.count_by_status(connection) == {}


@pytest.mark.logs_errors
def test_a_resumable_upload_is_accepted_when_the_storage_is_back(remote: Context, faults: Faults) -> None:
    """No byte is sent again by the client."""
    tus = Tus(TestClient(create_app(remote), headers=AUTH))
    faults.refuse = lambda method, _: method == "PUT"
    created = tus.create(len(LONG))
    place = created.headers["Location"]
    failed = tus.send("PATCH", place, {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}, LONG)
    assert failed.status_code == 503
    faults.refuse = lambda *_: False
    asked = tus.send("HEAD", place)
    assert (asked.status_code, asked.headers["Upload-Offset"]) == (200, str(len(LONG)))
    job_id = asked.headers["X-Job-Id"]
    assert _content(remote, keys.source(job_id)) == LONG
    again = tus.send("HEAD", place)
    assert again.headers["X-Job-Id"] == job_id


def test_pieces_are_stored_while_the_rest_arrives(remote: Context) -> None:
    tus = Tus(TestClient(create_app(remote), headers=AUTH))
    content = VIDEO + bytes(5 * CHUNK_BYTES)
    place = tus.create(len(content)).headers["Location"]
    middle = 4 * CHUNK_BYTES
    for offset, piece in ((0, content[: 2 * CHUNK_BYTES]), (2 * CHUNK_BYTES, content[2 * CHUNK_BYTES : middle])):
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        assert tus.send("PATCH", place, headers, piece).status_code == 204
    folder = keys.upload_folder(place.rpartition("/")[2])
    wait_for(lambda: remote.files.list_files(folder), "the first piece")
    assert tus.send("DELETE", place).status_code == 204
    wait_for(lambda: not remote.files.list_files(folder), "the pieces to be deleted")


def _add_part(context: Context, job_id: str) -> None:
    part = replace(segment(1, job_id=job_id, status=SegmentStatus.READY), file_path=f"jobs/{job_id}/part-001.a.mp4")
    with context.store.writing(scope="everything") as connection:
        segments.create(connection, [part])
    with context.files.outputs([part.file_path]) as (path,):
        path.write_bytes(b"a rendered part")


@pytest.mark.logs_errors
def test_a_file_is_503_while_the_storage_does_not_answer(remote: Context, root: str, faults: Faults) -> None:
    job_id = _job_id(upload(root))
    _add_part(remote, job_id)
    video = f"{root}/jobs/{job_id}/segments/1/video"
    faults.refuse = lambda *_: True
    answer = requests.get(video, headers=AUTH, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    faults.refuse = lambda *_: False
    assert requests.get(video, headers=AUTH, timeout=30).content == b"a rendered part"


def test_the_status_is_shown_while_the_storage_does_not_answer(
    remote: Context, root: str, faults: Faults, clock: Clock
) -> None:
    """It comes from the database; the storage is asked again later, and not with each request of a page."""
    job_id = _job_id(upload(root))
    _add_part(remote, job_id)

    def video() -> str | None:
        answer = requests.get(f"{root}/status/{job_id}", headers=AUTH, timeout=30)
        assert answer.status_code == 200
        found: str | None = answer.json()["segments"][0]["links"].get("video")
        return found

    link = video()
    assert link is not None
    faults.refuse = lambda *_: True
    assert video() == link
    faults.requests.clear()
    assert video() == link
    assert faults.requests == []
    faults.refuse = lambda *_: False
    clock.move(seconds=stored_files.ASKED_AGAIN_S)
    remote.files.delete(f"jobs/{job_id}/part-001.a.mp4")
    assert video() is None
