"""An upload on its way to the disk."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from pathlib import Path

import pytest
from falcon.testing import TestClient

from actors.recovery.lost_found import INCOMING
from api.context import Context
from api.http.problems import Problem
from api.uploads import background_sync
from api.uploads.file import UploadFile
from tests.api.conftest import AUTH, VIDEO
from tests.api.test_server import END, FORM

LIMIT = 10**9
FORM_HEADERS = {**AUTH, "Content-Type": "multipart/form-data; boundary=B"}


def test_a_file_has_its_name_only_when_it_is_whole_and_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_rename = Path.rename

    def rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", lambda _: done.append("sync"))
    monkeypatch.setattr(Path, "rename", rename)
    arriving = UploadFile(tmp_path / "job", limit_bytes=LIMIT)
    arriving.write(VIDEO)
    assert [path.name for path in (tmp_path / "job").iterdir()] == [INCOMING]

    path = arriving.finalize()

    assert (path.name, path.read_bytes()) == ("source", VIDEO)
    assert done == [
        "sync",
        "rename",
        "sync",
        "sync",
    ]  # the file; its name; the directory's entry, and the directory's own


def test_bytes_are_synced_as_they_come_so_that_the_last_ones_wait_for_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.set())
    monkeypatch.setattr(background_sync, "SYNC_EVERY_BYTES", 1000)
    arriving = UploadFile(tmp_path / "job", limit_bytes=LIMIT)

    arriving.write(VIDEO)

    assert synced.wait(30)
    arriving.discard()


def test_an_error_of_the_disk_during_the_upload_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells of a failed write once: a later sync of the same file succeeds."""

    def broken(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fdatasync", broken)
    monkeypatch.setattr(background_sync, "SYNC_EVERY_BYTES", 1000)
    arriving = UploadFile(tmp_path / "job", limit_bytes=LIMIT)
    arriving.write(VIDEO)

    with pytest.raises(Problem) as refused:
        arriving.finalize()

    assert refused.value.status_code == 503
    arriving.discard()
    assert not (tmp_path / "job").exists()


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("failing", "interval_bytes"), [("fdatasync", 1000), ("fsync", 10**6)], ids=["while it arrives", "at its end"]
)
def test_bytes_of_a_killed_process_are_not_taken_to_be_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, interval_bytes: int
) -> None:
    """It may have been killed before their sync. When that fails later, the kernel has dropped them."""

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    killed = UploadFile(tmp_path / "job", limit_bytes=LIMIT)
    killed.write(VIDEO)
    killed.keep()
    monkeypatch.setattr(background_sync, "SYNC_EVERY_BYTES", interval_bytes)
    arriving = UploadFile(tmp_path / "job", limit_bytes=LIMIT, resumed_at=len(VIDEO))
    with monkeypatch.context() as disk:
        disk.setattr(os, failing, broken)
        arriving.write(bytes(2000))
        with pytest.raises(Problem):
            arriving.finalize()
    arriving.keep()

    assert (tmp_path / "job" / INCOMING).stat().st_size == 0


def test_discarding_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens on the server's loop, where waiting would stop everybody."""
    go_on, synced = threading.Event(), threading.Event()

    def sync_slowly(fd: int) -> None:
        go_on.wait(30)
        synced.set()

    monkeypatch.setattr(os, "fdatasync", sync_slowly)
    monkeypatch.setattr(background_sync, "SYNC_EVERY_BYTES", 1000)
    arriving = UploadFile(tmp_path / "job", limit_bytes=LIMIT)
    arriving.write(VIDEO)

    arriving.discard()
    arriving.discard()

    assert not synced.is_set()
    assert not (tmp_path / "job").exists()
    go_on.set()
    background_sync.wait_for_all()


def test_the_first_bytes_are_judged_however_small_the_pieces_are(tmp_path: Path) -> None:
    arriving = UploadFile(tmp_path / "job", limit_bytes=LIMIT)
    with pytest.raises(Problem) as refused:
        for _ in range(100):
            arriving.write(b"#")

    assert refused.value.status_code == 415
    assert arriving.size_bytes == 64
    arriving.discard()


@pytest.mark.logs_errors
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("step", ["mkdir", "open", "write", "fsync", "rename"])
def test_whatever_the_disk_refuses_is_a_503_at_each_step_and_leaves_nothing(
    client: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    """A disk may have room for bytes and none for another name (no inode is left), or be read-only since a minute.

    Each call of the step is let fail in turn, until an upload goes through.
    """
    owner = {"mkdir": os, "open": os, "write": os, "fsync": os, "rename": Path}[step]
    real = getattr(owner, step)
    for failing in range(1, 10):
        calls = itertools.count(1)

        def refuse(*args: object, **kwargs: object) -> object:
            ours = str(args[0]).startswith(str(context.settings.uploads_dir)) or step in {"write", "fsync"}
            if ours and next(calls) == failing:  # noqa: B023 (called within the turn)
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        with monkeypatch.context() as patched:
            patched.setattr(owner, step, refuse)
            answer = client.simulate_post("/upload", body=FORM + VIDEO + END, headers=FORM_HEADERS)
        if answer.status_code == 202:
            break
        full = number in {errno.ENOSPC, errno.EDQUOT}
        assert (answer.status_code, answer.json["code"]) == (503, "disk_full" if full else "disk_error"), failing
        assert int(answer.headers["retry-after"]) > 0
        assert list(context.settings.uploads_dir.glob("job_*")) == [], failing
    assert failing > 1
