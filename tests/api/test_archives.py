"""The archive of all parts: any unpacker takes it, its size is known before, and it holds nothing open."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from falcon.testing import TestClient

from actors import wiring
from api.context import Context
from api.http.zip_stream import MAX_32, Member, ZipStream, member
from store import jobs, segments
from store.states import SegmentStatus
from tests.api.conftest import AUTH
from tests.store import rows
from tests.support.waiting import wait_for

ADDRESS = "/jobs/job/videos.zip"
MODIFIED = datetime(2026, 11, 29, 21, 30, 8, tzinfo=UTC)
TITLE = 'Wörter: "eins/zwei" 🎥'
CONTENTS = [bytes(range(256)) * 40, b"", os.urandom(3_000_000)]


@pytest.fixture
def directory(context: Context) -> Path:
    """Return the directory of a job with three parts that are ready, and one that is not."""
    with context.store.writing(scope="everything") as connection:
        jobs.create(connection, replace(rows.job(parts=4), title=TITLE))
        ready = [replace(rows.segment(number, status=SegmentStatus.READY), ended_at=MODIFIED) for number in (1, 2, 3)]
        segments.create(connection, [*ready, rows.segment(4, status=SegmentStatus.RENDERING)])
    path = wiring.machine.settings.jobs_dir / "job"
    path.mkdir(parents=True)
    for number, content in enumerate(CONTENTS, 1):
        (path / f"part-{number:03}.mp4").write_bytes(content)
    return path


@pytest.mark.usefixtures("directory")
def test_the_archive_has_the_parts_that_are_ready_under_their_names(client: TestClient) -> None:
    answer = client.simulate_get(ADDRESS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{number:02}-Wörter eins zwei 🎥.mp4" for number in (1, 2, 3)]
        assert [archive.read(name) for name in archive.namelist()] == CONTENTS
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.infolist()[0].date_time == (2026, 11, 29, 21, 30, 8)
    shown = answer.headers["content-disposition"]
    assert "filename*=UTF-8''W%C3%B6rter" in shown
    assert shown.isascii()


@pytest.mark.usefixtures("directory")
def test_other_programs_unpack_it_also_from_a_pipe(client: TestClient, tmp_path: Path) -> None:
    """`bsdtar` reads it in one pass, as a program does that unpacks while it downloads."""
    archive = tmp_path / "videos.zip"
    archive.write_bytes(client.simulate_get(ADDRESS).content)
    programs = [["unzip", "-tq", str(archive)], ["7z", "t", str(archive)], ["bsdtar", "-tf", "-"]]
    tried = [one for one in programs if shutil.which(one[0])]
    for command in tried:
        with archive.open("rb") as file:
            subprocess.run(command, stdin=file, check=True, capture_output=True)
    if not tried:
        pytest.skip("no program that unpacks ZIP archives is installed")


@pytest.mark.usefixtures("directory")
def test_head_has_the_size_and_no_body(client: TestClient) -> None:
    whole = client.simulate_get(ADDRESS)
    head = client.simulate_head(ADDRESS)
    assert (head.headers["content-length"], head.content) == (str(len(whole.content)), b"")


def test_without_a_part_that_is_ready_there_is_no_archive(client: TestClient, directory: Path) -> None:
    shutil.rmtree(directory)
    assert client.simulate_get(ADDRESS).status_code == 404
    assert client.simulate_get("/jobs/none/videos.zip").status_code == 404


def test_it_arrives_over_http_while_a_part_is_deleted_as_far_as_it_goes(
    serve: Callable[..., str], directory: Path
) -> None:
    """A part that was deleted ends the connection: no client takes the rest for the whole."""
    root = serve()
    with requests.get(f"{root}{ADDRESS}", headers=AUTH, timeout=10) as whole:
        assert len(whole.content) == int(whole.headers["Content-Length"])
    for number in (2, 3):
        path = directory / f"part-{number:03}.mp4"
        path.write_bytes(b"x" * 200_000_000 if number == 2 else b"x")
    with requests.get(f"{root}{ADDRESS}", headers=AUTH, timeout=10, stream=True) as cut:
        next(cut.iter_content(1000))
        (directory / "part-003.mp4").unlink()
        with pytest.raises(requests.RequestException):
            for _ in cut.iter_content(1_000_000):
                pass


def test_a_client_that_goes_leaves_nothing_open(serve: Callable[..., str], directory: Path) -> None:
    (directory / "part-001.mp4").write_bytes(b"x" * 200_000_000)
    root = serve()
    address = urlsplit(root)
    with socket.create_connection((address.hostname, address.port)) as gone:
        gone.sendall(f"GET {ADDRESS} HTTP/1.1\r\nHost: x\r\nAuthorization: {AUTH['Authorization']}\r\n\r\n".encode())
        gone.recv(100_000)
        wait_for(lambda: _opened(directory) == 1, "the part to be sent")
    wait_for(lambda: _opened(directory) == 0, "the part to be closed")


def _opened(directory: Path) -> int:
    links = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except OSError:
            continue
    return len([link for link in links if link.startswith(str(directory.resolve()))])


def test_a_part_that_was_rendered_anew_is_not_mixed_with_the_one_before(directory: Path) -> None:
    path = directory / "part-001.mp4"
    stream = ZipStream([member(path, "a.mp4", MODIFIED)])
    path.write_bytes(b"y" * path.stat().st_size)
    os.utime(path, ns=(1, 1))
    with pytest.raises(OSError, match="has changed"):
        stream.read()


def test_a_seek_reads_the_same_bytes(directory: Path) -> None:
    paths = [directory / f"part-{number:03}.mp4" for number in (1, 2, 3)]
    stream = ZipStream([member(path, path.name, MODIFIED) for path in paths])
    whole = stream.read()
    assert len(whole) == stream.size_bytes
    for position in range(0, len(whole), 9_973):
        stream.seek(position)
        assert stream.read(10_000) == whole[position : position + 10_000]
    stream.close()


@pytest.mark.parametrize("sizes", [(5 * 2**30,), (3 * 2**30, 3 * 2**30, 7), (MAX_32, 5), (MAX_32 - 1, 5)])
def test_archives_beyond_4_gib_have_zip64_fields(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    """The files are sparse; their checksums are not computed."""
    members = []
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.mp4"
        with path.open("wb") as file:
            file.truncate(size)
        status = path.stat()
        members.append(Member(path, path.name, size, 7, MODIFIED, (status.st_size, status.st_mtime_ns)))
    stream = ZipStream(members)
    with zipfile.ZipFile(stream) as archive:
        assert [(one.filename, one.file_size, one.CRC) for one in archive.infolist()] == [
            (one.name, one.size_bytes, 7) for one in members
        ]
        for name in archive.namelist():
            archive.open(name).close()  # compares the local header with the directory


def test_more_than_65535_files_have_a_zip64_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    one = member(path, "a.mp4", MODIFIED)
    with zipfile.ZipFile(ZipStream([replace(one, name=f"{number}.mp4") for number in range(65_536)])) as archive:
        assert len(archive.infolist()) == 65_536
