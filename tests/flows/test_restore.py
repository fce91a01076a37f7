"""Yesterday's backup is restored, together with the files of yesterday: nothing is published twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from broker import SqliteBroker
from tests.flows.machine import POLL_S, ROOT, TestMachine
from tests.flows.test_kill import paused
from tests.flows.test_whole_way import each_once_in_order, parts_by_platform
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

KEPT = {"RETENTION_HOURS": "24", "KEEP_SOURCE": "true"}


def command(machine: TestMachine, name: str, *arguments: str | Path) -> str:
    """Run one of the operator's commands, from another directory."""
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(machine.data_dir), "SEGMENT_SECONDS": "6"}
    done = subprocess.run(
        [ROOT / "scripts" / name, *map(str, arguments)], env=environ, capture_output=True, text=True, check=False,
        timeout=60, cwd=machine.data_dir.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_machine_restored_with_its_files_publishes_nothing_twice(
    machine: Callable[..., TestMachine], talk: Path, tmp_path: Path
) -> None:
    """Not even the record beside the upload knows that the parts are public: it is as old as the database."""
    running = machine(**KEPT)
    with paused(running, "network"):
        job_id = running.upload(talk, title="Old", gaze_intensity="0")
        wait_for(
            lambda: running.status(job_id)["status"] == "publishing", "the parts to be ready", 120, interval_s=POLL_S
        )
        command(running, "backup", "yesterday.sqlite3")
        for name in ("uploads", "jobs"):
            shutil.copytree(running.data_dir / name, tmp_path / "yesterday" / name)
    finished = running.finished(job_id)
    posts = parts_by_platform(running, "Old")
    assert posts == each_once_in_order(finished)
    running.stop()

    for name in ("uploads", "jobs"):
        shutil.rmtree(running.data_dir / name)
        shutil.copytree(tmp_path / "yesterday" / name, running.data_dir / name)
    assert "since parts may have been published: 1" in command(running, "restore", "yesterday.sqlite3")
    broker = SqliteBroker(running.data_dir / "vidprod.sqlite3")
    broker.admin.resume_queue("network")  # it was paused when the backup was made
    broker.close()

    again = machine(**KEPT)
    new = again.finished(again.upload(talk, title="New", gaze_intensity="0"))
    assert parts_by_platform(again, "New") == each_once_in_order(new)  # publishing works
    held = again.status(job_id)
    assert (held["status"], held["review"]["reasons"]) == ("review", ["restored"])
    assert parts_by_platform(again, "Old") == posts
    begun = [post for part in held["segments"] for post in part["publications"] if post["status"] == "outcome_unknown"]
    assert {post["code"] for post in begun} == {"database_older"}
    for post in begun:
        again.client.call("POST", f"/publications/{post['id']}/resolve", json={"published": True})
    for part in held["segments"]:
        for post in part["publications"]:
            if post["status"] == "waiting":
                again.client.call_with_retries("POST", f"/publications/{post['id']}/skip")
    assert again.finished(job_id)["status"] in {"completed", "completed_with_errors"}
    assert parts_by_platform(again, "Old") == posts
