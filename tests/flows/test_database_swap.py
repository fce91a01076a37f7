"""The database is deleted, damaged or replaced while the machine runs: no accepted upload is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from scripts.machine.private_files import make_private
from tests.flows.machine import POLL_S, ROOT, Json, TestMachine
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform
from tests.support.waiting import wait_for

Start = Callable[..., TestMachine]
DATABASE = "vidprod.sqlite3"
KEPT = ("title", "status", "error", "created_at", "completed_at")  # of a job that is over
PLAIN = {"gaze_intensity": "0"}  # renders in half the time; what is corrected does not matter here


def health(machine: TestMachine) -> Json:
    return requests.get(f"{machine.client.root_url}/health", timeout=10)


def refused_upload(machine: TestMachine) -> requests.Response:
    body = b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"\0" * 4096 + b"\r\n--B--\r\n"
    headers = {"Authorization": "Bearer test-key-of-tests", "Content-Type": "multipart/form-data; boundary=B"}
    return requests.post(f"{machine.client.root_url}/upload", data=body, headers=headers, timeout=10)


def adopt(machine: TestMachine, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/adopt as the operator would."""
    environ = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(machine.data_dir),
        "SEGMENT_SECONDS": "6",
        "PORT": machine.client.root_url.rsplit(":", 1)[1],
    }
    return subprocess.run(
        [ROOT / "scripts" / "adopt", *arguments], env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def held(machine: TestMachine) -> Callable[[], bool]:
    """Return what says whether nothing works with the database any more."""
    return lambda: (
        not any(any(name in line for name in ("_worker", "-m media.")) for line in machine.processes().values())
    )


def backup(machine: TestMachine) -> Path:
    """Copy the database as an operator should: by SQLite's own means."""
    target = machine.data_dir.parent / "backup.sqlite3"
    source = sqlite3.connect(f"file:{machine.data_dir / DATABASE}?mode=ro", uri=True)
    copy = sqlite3.connect(target)
    source.backup(copy)
    copy.close()
    source.close()
    return target


def put_in_place(machine: TestMachine, copy: Path) -> None:
    """Restore a backup as the README says, on a stopped machine."""
    for suffix in ("-wal", "-shm"):
        (machine.data_dir / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    copy.rename(machine.data_dir / DATABASE)


def lost(machine: TestMachine) -> Json:
    return health(machine).json()["checks"]["lost_found"]


def uploaded(machine: TestMachine, talk: Path, count: int) -> list[str]:
    """Upload while nothing is processed, so that nothing is public when the database goes."""
    machine.signal(signal.SIGSTOP, "scripts.machine.media_worker")
    return [machine.upload(talk, title=f"Talk {number}", **PLAIN) for number in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("older", [False, True], ids=["deleted", "older backup"])
def test_a_database_that_is_gone_loses_no_upload(machine: Start, talk: Path, older: bool) -> None:
    running = machine()
    known = running.finished(running.upload(talk, title="Known", **PLAIN))
    copy = backup(running)
    jobs = uploaded(running, talk, 2)
    posts = len(running.posts())
    database = running.data_dir / DATABASE

    if older:
        copy.rename(database)
    else:
        for suffix in ("", "-wal", "-shm"):
            database.with_name(DATABASE + suffix).unlink()

    wait_for(held(running), "workers and scheduler to be stopped", interval_s=POLL_S)
    red = health(running)
    assert (red.status_code, red.json()["checks"]["database"]["reason"]) == (503, "replaced")
    answer = refused_upload(running)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert running.log().count(b"deleted or replaced") == 1  # told once
    running.stop()
    assert database.exists() == older  # nothing is made in its place
    for suffix in ("-wal", "-shm"):
        database.with_name(DATABASE + suffix).unlink(missing_ok=True)

    again = machine()
    public = [] if older else [known["job_id"]]  # its files are kept for a day, and the new database does not know it
    assert lost(again)["count"] == 2 + len(public)
    listed = adopt(again)
    assert all(job in listed.stdout for job in [*jobs, *public])
    done = adopt(again, "--all")
    assert (done.returncode, done.stdout.count("adopted; a job was created")) == (0, 2), done.stderr
    assert all(f"{job}: not adopted: talk.mp4 (" in done.stdout for job in public)
    wait_for(lambda: {again.status(job)["status"] for job in jobs} == {"review"}, "the questions", 120.0)
    assert all(again.status(job)["review"]["reasons"] == ["restored"] for job in jobs)  # what was decided is lost
    assert len(again.posts()) == posts
    assert again.client.call_with_retries("POST", "/jobs/approve-restored") == {"approved": 2, "left": 0}
    assert all(again.finished(job)["status"] == "completed" for job in jobs)
    assert [again.status(job)["title"] for job in jobs] == ["Talk 0", "Talk 1"]
    assert len(again.posts()) - posts == 2 * posts  # each once, as the known one
    assert lost(again)["count"] == len(public)
    assert "adopted; a job was created" not in adopt(again, "--all").stdout
    if older:
        assert again.status(known["job_id"])["status"] == "completed"
    else:
        assert adopt(again, "--delete", *public).returncode == 0
        assert adopt(again).stdout == "lost+found is empty.\n"


@pytest.mark.slow
def test_an_open_job_of_an_old_database_whose_files_are_gone_ends_with_the_reason(machine: Start, talk: Path) -> None:
    running = machine(RETENTION_HOURS="0")
    [job] = uploaded(running, talk, 1)
    copy = backup(running)
    resumed(running)
    finished = running.finished(job)
    wait_for(lambda: not (running.data_dir / "uploads" / job).exists(), "the files to go")
    posts = parts_by_platform(running)
    assert posts == each_once_in_order(finished)
    running.stop()
    put_in_place(running, copy)

    again = machine(RETENTION_HOURS="0")
    failed = again.finished(job)
    assert (failed["status"], failed["error_code"]) == ("failed", "file_missing")
    assert "the database is older" in failed["error"]
    assert str(again.data_dir) not in failed["error"]
    assert parts_by_platform(again) == posts  # nothing twice


def resumed(machine: TestMachine) -> None:
    machine.signal(signal.SIGCONT, "scripts.machine.media_worker")


@pytest.mark.slow
def test_an_old_job_whose_upload_is_still_there_is_not_published_twice(machine: Start, talk: Path) -> None:
    """The old database renders it anew and would publish it: the notes beside the upload say that it went out."""
    running = machine(RETENTION_HOURS="24", KEEP_SOURCE="true")
    [job] = uploaded(running, talk, 1)
    copy = backup(running)
    resumed(running)
    finished = running.finished(job)
    posts = parts_by_platform(running)
    assert posts == each_once_in_order(finished)
    running.stop()
    put_in_place(running, copy)

    again = machine(RETENTION_HOURS="24", KEEP_SOURCE="true")

    def first_parts() -> list[Json]:
        return [post for part in again.status(job)["segments"][:1] for post in part["publications"]]

    wait_for(
        lambda: [post["status"] for post in first_parts()] == ["outcome_unknown"] * len(posts),
        "the notes to count",
        120,  # the part is planned and rendered once more before
        interval_s=POLL_S,
    )
    assert {post["code"] for post in first_parts()} == {"database_older"}
    assert parts_by_platform(again) == posts


def keyed_upload(machine: TestMachine, video: Path, key: str) -> Json:
    headers = {"Authorization": "Bearer test-key-of-tests", "Idempotency-Key": key}
    files = {"title": (None, key), "gaze_intensity": (None, "0"), "file": (video.name, video.read_bytes())}
    answer = requests.post(f"{machine.client.root_url}/upload", files=files, headers=headers, timeout=30)  # type: ignore[arg-type]  # its stubs know no field without a name
    assert answer.status_code == 202, answer.text
    return answer.json()


@pytest.mark.slow
def test_a_request_repeated_after_an_older_database_was_put_in_place_makes_one_job(machine: Start, talk: Path) -> None:
    """One upload is adopted before the repetition, the other one is found by the adoption after it."""
    running = machine()
    copy = backup(running)
    uploaded(running, talk, 0)  # nothing is processed
    keys = ("adopted first", "repeated first")
    adopted, repeated = (keyed_upload(running, talk, key) for key in keys)
    running.stop()
    put_in_place(running, copy)

    again = machine()
    assert lost(again)["count"] == 2
    assert "adopted; a job was created" in adopt(again, adopted["job_id"]).stdout
    answers = [keyed_upload(again, talk, key) for key in keys]
    done = adopt(again, "--all")
    assert done.returncode == 0, done.stderr
    assert (answers[0] == adopted, answers[1] == repeated) == (True, False)
    assert f"{repeated['job_id']}: the video was uploaded again" in done.stdout
    assert len(again.client.call_with_retries("GET", "/jobs")["jobs"]) == 2
    assert again.client.call_with_retries("POST", "/jobs/approve-restored")["approved"] == 1  # the adopted one
    for answer, key in zip(answers, keys, strict=True):
        finished = again.finished(answer["job_id"])
        assert parts_by_platform(again, key) == each_once_in_order(finished)


@pytest.mark.parametrize("command", ["scripts.local.run", "scripts.machine.serve", "scripts.machine.migrate", "api"])
def test_a_damaged_database_ends_every_start_with_a_sentence_and_no_upload(tmp_path: Path, command: str) -> None:
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "MOCK_PORT": "1", "PORT": "2"}
    (tmp_path / DATABASE).write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    upload = tmp_path / "uploads" / ("job_" + "1" * 32) / "source"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"a video")
    make_private(tmp_path, tmp_path / DATABASE)  # as after an earlier start, which else would log its repair

    ran = subprocess.run(
        [sys.executable, "-m", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60
    )

    told = [line for line in ran.stderr.splitlines() if DATABASE in line]
    assert ran.returncode not in {0, -11}
    assert len(told) == 1, ran.stderr
    assert not re.search("Traceback|Error", ran.stderr), ran.stderr
    assert upload.read_bytes() == b"a video"


@pytest.mark.slow
def test_a_machine_whose_database_is_put_in_order_starts(machine: Start, talk: Path, tmp_path: Path) -> None:
    running = machine()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(talk.read_bytes()[:30_000])
    job = running.finished(running.upload(cut))  # fails: a job that is over soon
    copy = backup(running)
    running.stop()
    database = running.data_dir / DATABASE
    put_in_place(running, Path(shutil.copy(copy, running.data_dir / "to be damaged")))
    os.truncate(database, database.stat().st_size // 2)
    ran = migrate(running.data_dir)
    assert (ran.returncode, "damaged" in ran.stderr, "Traceback" in ran.stderr) == (1, True, False)
    put_in_place(running, copy)
    again = machine()
    assert [again.status(job["job_id"])[name] for name in KEPT] == [job[name] for name in KEPT]


def migrate(data_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.machine.migrate"],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def broker_command(data_dir: Path, *arguments: str) -> None:
    """Run `python -m broker` on a machine's database, as the README says."""
    subprocess.run([sys.executable, "-m", "broker", data_dir / DATABASE, *arguments], cwd=ROOT, check=True, timeout=60)


@pytest.mark.slow
def test_a_pause_before_the_start_holds_all_publishing_until_it_is_lifted(
    machine: Start, talk: Path, tmp_path: Path
) -> None:
    """After a restored backup the operator compares it with the platforms first."""
    data_dir = tmp_path / "data"
    assert migrate(data_dir).returncode == 0
    broker_command(data_dir, "pause", "network")
    running = machine()
    assert running.data_dir == data_dir
    job = running.upload(talk, **PLAIN)
    wait_for(lambda: running.status(job)["status"] == "publishing", "the parts to be ready", interval_s=POLL_S)
    assert running.posts() == []
    running.client.call("POST", f"/jobs/{job}/cancel")
    broker_command(data_dir, "resume", "network")
    wait_for(lambda: running.status(job)["files_deleted_at"], "the network queue to go on", interval_s=POLL_S)
    assert running.posts() == []
