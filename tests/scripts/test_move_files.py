"""scripts/move-files: all files of a local installation are in the bucket, byte by byte, and nothing is deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker import SqliteBroker
from files import keys
from files.s3 import S3Files
from files.transfer import CHUNK_BYTES, chunk_key
from scripts.machine.installation import Installation
from store import jobs
from store.sqlite import SqliteStore
from tests.files.conftest import machine_files
from tests.store.rows import job
from tests.support.object_store import ObjectStore

ROOT = Path(__file__).resolve().parents[2]
KNOWN, UNKNOWN = "job_" + "1" * 32, "job_" + "2" * 32
Command = Callable[..., subprocess.CompletedProcess[str]]
CONTENT = {
    keys.source(KNOWN): os.urandom(CHUNK_BYTES + 1000),
    f"jobs/{KNOWN}/part-001.a.mp4": os.urandom(10_000_000),
    f"jobs/{KNOWN}/part-001.a.cover.jpg": b"cover",
    f"jobs/{KNOWN}/part-002.a.report.json": b"",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data directory of a stopped machine that knows one of two jobs."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    broker = SqliteBroker(data / "vidprod.sqlite3")
    store = SqliteStore(data / "vidprod.sqlite3", write_lock=broker.write_lock, joining=broker.joining)
    store.migrate()
    with store.writing(scope="everything") as connection:
        jobs.create(connection, replace(job(KNOWN), video_path=keys.source(KNOWN)))
    broker.close()
    store.close()
    others = {f"uploads/{KNOWN}/upload.json": b"{}", f"jobs/{UNKNOWN}/part-001.a.mp4": b"part"}
    for key, content in {**CONTENT, **others}.items():
        (data / key).parent.mkdir(parents=True, exist_ok=True)
        (data / key).write_bytes(content)
    for path in data.rglob("*"):  # else the command says that it removes the rights of others
        path.chmod(0o700 if path.is_dir() else 0o600)
    return data


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"move-files/{request.node.name}"


@pytest.fixture
def move(data: Path, server: ObjectStore, prefix: str) -> Command:
    """Return what runs the command."""

    def move(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "SECRET_KEY": "the-secret-key-of-the-tests"}
        return subprocess.run(
            [sys.executable, "-m", "scripts.machine.move_files", *arguments], cwd=ROOT,
            env={**environ, **server.environ(prefix), **changes}, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip

    return move


@pytest.fixture
def bucket(server: ObjectStore, prefix: str, tmp_path: Path) -> S3Files:
    return machine_files(server.options(prefix), tmp_path / "other")


def _said(ran: subprocess.CompletedProcess[str]) -> str:
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_all_files_of_known_jobs_are_copied_once(data: Path, move: Command, bucket: S3Files) -> None:
    total = sum(map(len, CONTENT.values()))
    assert _said(move()).startswith(f"4 files with {total} bytes are in s3://videos/move-files/")
    assert _said(move()).endswith("; 0 were copied now\n")
    for key, content in CONTENT.items():
        with bucket.borrow(key) as copy:
            assert copy.read_bytes() == content
        assert (data / key).read_bytes() == content, "nothing is deleted"
    assert bucket.list_files(f"jobs/{UNKNOWN}/") == []


def test_only_what_is_new_or_damaged_is_sent_again(data: Path, move: Command, bucket: S3Files) -> None:
    _said(move())
    bucket.put_bytes(f"jobs/{KNOWN}/part-001.a.cover.jpg", b"COVER")
    bucket.put_bytes(chunk_key(keys.source(KNOWN), 1), bytes(1000))
    since = data / f"jobs/{KNOWN}/part-003.a.mp4"
    since.write_bytes(b"a part that was rendered since")
    since.chmod(0o600)
    assert _said(move()).endswith("; 3 were copied now\n")
    with bucket.borrow(keys.source(KNOWN)) as copy:
        assert copy.read_bytes() == CONTENT[keys.source(KNOWN)]


def test_another_video_under_the_same_key_is_an_error(move: Command, bucket: S3Files) -> None:
    bucket.put_bytes(keys.source(KNOWN), b'{"size_bytes": 5, "chunk_bytes": 8388608}')
    ran = move()
    assert ran.returncode == 1
    assert "another video" in ran.stderr
    assert "1 files are not there" in ran.stderr


def test_it_says_that_a_running_machine_makes_further_files(data: Path, move: Command) -> None:
    running = Installation(data, None)
    try:
        assert "stop it, and run the command again" in _said(move())
    finally:
        running.release()


def test_files_of_another_directory_are_copied(data: Path, move: Command, bucket: S3Files, tmp_path: Path) -> None:
    (data / "uploads").rename(tmp_path / "uploads")
    (data / "jobs").rename(tmp_path / "jobs")
    assert _said(move("--from", str(tmp_path))).startswith("4 files ")
    assert bucket.stat(keys.source(KNOWN)) is not None


def test_without_a_bucket_there_is_nothing_to_do(move: Command) -> None:
    ran = move(FILES_URL="", S3_ENDPOINT_URL="")
    assert ran.returncode == 1
    assert "FILES_URL" in ran.stderr
